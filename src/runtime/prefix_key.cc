#include "runtime/prefix_key.h"

#include <algorithm>
#include <functional>
#include <string_view>

namespace linnet {

void PrefixKey::Truncate(int64_t length) {
  ids.resize(static_cast<size_t>(length));
  while (!media.empty() && media.back().begin >= length) media.pop_back();
}

PrefixKey KeyOf(const Prompt& prompt, const AudioConfig& audio) {
  PrefixKey key{prompt.ids, {}};
  auto image = prompt.images.begin();
  auto clip = prompt.clips.begin();
  for (int64_t t = 0; t < key.size();) {
    const TokenType type = prompt.types[static_cast<size_t>(t)];
    if (type == TokenType::kText) {
      ++t;
    } else if (type == TokenType::kAudio) {
      key.media.push_back({t, clip->rows(audio), ContentHash(*clip)});
      t += (clip++)->rows(audio);
    } else {
      key.media.push_back({t, image->rows, ContentHash(*image)});
      t += (image++)->rows;
    }
  }
  return key;
}

int64_t SharedLength(const PrefixKey& a, const PrefixKey& b) {
  const auto differ = std::mismatch(a.ids.begin(), a.ids.end(), b.ids.begin(), b.ids.end());
  const int64_t shared = differ.first - a.ids.begin();
  for (size_t m = 0; m < std::max(a.media.size(), b.media.size()); ++m) {
    const PrefixKey::Medium* const x = m < a.media.size() ? &a.media[m] : nullptr;
    const PrefixKey::Medium* const y = m < b.media.size() ? &b.media[m] : nullptr;
    const int64_t begin = std::min(x != nullptr ? x->begin : y->begin, y != nullptr ? y->begin : x->begin);
    if (begin >= shared) break;
    if (x == nullptr || y == nullptr || *x != *y || begin + x->rows > shared) return begin;
  }
  return shared;
}

int64_t PlaceAt(const PrefixKey& key, int64_t length) {
  for (const PrefixKey::Medium& medium : key.media) {
    if (medium.begin < length && length < medium.begin + medium.rows) return medium.begin;
  }
  return std::min(length, key.size());
}

std::vector<uint64_t> RunningHashes(const PrefixKey& key, int64_t length) {
  std::vector<uint64_t> hashes;
  hashes.reserve(static_cast<size_t>(length) + 1);
  uint64_t hash = 0;
  const auto mix = [&](uint64_t value) {
    hash = (hash ^ value) * 0x9E3779B97F4A7C15u;
    hash ^= hash >> 29;
  };
  hashes.push_back(hash);
  auto medium = key.media.begin();
  for (int64_t t = 0; t < length; ++t) {
    mix(static_cast<uint64_t>(key.ids[static_cast<size_t>(t)]) + 1);
    if (medium != key.media.end() && medium->begin == t) {
      mix(std::hash<std::string_view>()((medium++)->sha256));
    }
    hashes.push_back(hash);
  }
  return hashes;
}

}  // namespace linnet
