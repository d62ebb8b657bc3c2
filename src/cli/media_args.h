// Pictures and sounds named on the command line or in a chat.
#pragma once

#include <string>
#include <vector>

#include "cli/answer.h"
#include "cli/args.h"
#include "linnet/error.h"
#include "runtime/conversation.h"

namespace linnet {

struct MediaArgs {
  std::vector<std::string> images;
  std::vector<std::string> audio;
  std::string image_tokens = "model";
};

void DeclareMedia(Args& args, MediaArgs& values);
// Reads the files into `message`, and appends to `uses` what each one takes. Notes about a file go to standard error.
Status LoadMedia(const MediaArgs& values, const ModelConfig& config, UserMessage& message, std::vector<MediaUse>& uses);

}  // namespace linnet
