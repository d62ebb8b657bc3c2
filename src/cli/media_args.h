// Pictures, sounds and videos named on the command line or in a chat.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "cli/args.h"
#include "cli/attachments.h"
#include "cli/mic_args.h"
#include "linnet/conversation.h"
#include "linnet/error.h"
#include "linnet/media.h"

namespace linnet {

struct MediaArgs {
  std::vector<std::string> images;
  std::vector<std::string> audio;
  std::vector<std::string> videos;
  std::string image_tokens = "auto";
  std::string pages;  // of PDFs among the pictures; empty = the first
  std::string frame_tokens = "70";
  double frames_per_second = 1.0;
  int64_t max_frames = 60;
  bool no_sandbox = false;
  MicArgs mic;

  bool Any() const { return !images.empty() || !audio.empty() || !videos.empty() || mic.on; }
};

void DeclareMedia(Args& args, MediaArgs& values);

// Reads the files into the message that the conversation is to get next. What a person should know about a
// file (its budget, lost detail, damage, the parts of a long sound) goes to standard error. Errors: those of
// Conversation::Attach.
Result<std::vector<MediaUse>> LoadMedia(const MediaArgs& values, Conversation& conversation,
                                        UserMessage& message);

// The same for files of a chat; of `values` only how they are to be read counts.
Result<std::vector<MediaUse>> LoadAttachments(std::span<const Attachment> files, const MediaArgs& values,
                                              Conversation& conversation, UserMessage& message);

// Records from the microphone until `stop`, as long as the context has room for it, and adds the sound. The
// same notes and errors, and those of the microphone.
Result<std::vector<MediaUse>> LoadMic(const MediaArgs& values, Conversation& conversation,
                                      const std::atomic<bool>& stop, UserMessage& message);

// Says once a run, on standard error, when media are decoded without all of the sandbox.
void WarnOfWeakness(const MediaLoader& loader);

}  // namespace linnet
