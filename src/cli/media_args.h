// Pictures, sounds and videos named on the command line or in a chat.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli/answer.h"
#include "cli/args.h"
#include "linnet/error.h"
#include "media/media_loader.h"
#include "runtime/conversation.h"

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
  int64_t context = 0;  // tokens of the session, 0 = not known: `auto` stays within it

  bool Any() const { return !images.empty() || !audio.empty() || !videos.empty(); }
};

void DeclareMedia(Args& args, MediaArgs& values);

// Reads the files into `message`, and appends to `uses` what each one takes. What a person should know about
// a file (its budget, lost detail, damage) goes to standard error.
Status LoadMedia(const MediaArgs& values, const ModelConfig& config, UserMessage& message,
                 std::vector<MediaUse>& uses);

// Says once a run, on standard error, when media are decoded without all of the sandbox.
void WarnOfWeakness(const MediaLoader& loader);

}  // namespace linnet
