// What a sequence has been fed, so that two can be compared: tokens as they are, media by their content.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "model/config.h"
#include "runtime/prompt.h"

namespace linnet {

struct PrefixKey {
  // A run of placeholders: equal ones with other media are another prefix.
  struct Medium {
    int64_t begin = 0, rows = 0;
    std::string sha256;
    bool operator==(const Medium&) const = default;
  };

  std::vector<int32_t> ids;
  std::vector<Medium> media;  // ascending

  int64_t size() const { return static_cast<int64_t>(ids.size()); }
  // REQUIRES: not inside a medium.
  void Truncate(int64_t length);
};

PrefixKey KeyOf(const Prompt& prompt, const AudioConfig& audio);

// The length of what both begin with; a medium is shared whole or not at all.
int64_t SharedLength(const PrefixKey& a, const PrefixKey& b);
// The last place at or before `length` that is in no medium.
int64_t PlaceAt(const PrefixKey& key, int64_t length);

// hashes[n] is that of the first n tokens with their media, the placeholders inside a medium counting as they
// are.
std::vector<uint64_t> RunningHashes(const PrefixKey& key, int64_t length);

}  // namespace linnet
