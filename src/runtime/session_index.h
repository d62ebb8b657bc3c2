// The index of a session file: everything but keys, values and media, and where those are.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "linnet/conversation.h"
#include "linnet/error.h"
#include "linnet/options.h"
#include "runtime/fingerprint.h"
#include "runtime/session_container.h"

namespace linnet {

struct SessionIndex {
  struct StoredMedium {
    nlohmann::ordered_json shape;  // session_media.h
    std::string sha256;
    Extent extent;
  };
  struct Message {
    nlohmann::ordered_json json;
    WrittenTurn written;
    std::vector<StoredMedium> media;
  };

  std::string program;  // the version of Linnet that wrote it
  std::string model;    // its name
  ModelFingerprint fingerprint;
  SessionOptions options;
  SamplingOptions sampling;
  ChatSetup setup;
  std::vector<Message> messages;
  std::vector<int32_t> held;  // tokens whose keys and values the pages hold
  std::vector<Extent> pages;  // of kPagePositions each, the last one part-filled
  std::vector<Extent> rings;  // one snapshot behind the last token; none where no token is held

  // All but the index itself.
  std::vector<Extent> Extents() const;
  // Of all messages, in order.
  std::vector<const StoredMedium*> Media() const;
};

// As JSON. Error, kInvalidArgument: a text that is not UTF-8, or a call's arguments nested too deep.
Result<std::string> EncodeIndex(const SessionIndex& index);
// Everything that is used without a further look is there and of its type. Error: kBadFile.
Result<SessionIndex> DecodeIndex(std::string_view text);

}  // namespace linnet
