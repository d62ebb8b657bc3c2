// Byte-pair encoding with byte fallback over a piece of text that holds no added tokens.
//
//  1. Each code point is a token; one without a token becomes its UTF-8 bytes' tokens, or the unknown one.
//  2. The adjacent pair of lowest rank merges first, the leftmost of equal ones, until none is left.
//
// A heap finds the next merge, so a line costs O(n log n). The text is first cut at every place that no merge
// can cross, because no token of the vocabulary holds these two characters side by side; that changes no
// result and keeps the heap to a word. Immutable after construction and thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "text/merge_table.h"
#include "text/token_table.h"

namespace linnet {

struct BpeParts {
  TokenTable tokens;
  std::vector<Merge> merges;   // ids within the table
  std::vector<bool> reserved;  // by id, may be shorter: never the result of encoding (special tokens)
  int32_t unknown = -1;        // what stands for a code point with neither token nor bytes; -1: it is dropped
  bool byte_fallback = true;
  bool fuse_unknown = true;    // a run of unknown code points gives one token
  bool ignore_merges = false;  // a piece that is a token stays whole
};

class Bpe {
 public:
  explicit Bpe(BpeParts parts);

  // Appends the ids of `text`. A space stands for ▁; a byte that is not valid UTF-8 is encoded by itself.
  void Encode(std::string_view text, std::vector<int32_t>& ids) const;

  const TokenTable& tokens() const { return tokens_; }
  uint64_t bytes() const;

 private:
  struct Work;

  bool Reserved(int32_t id) const {
    return static_cast<size_t>(id) < reserved_.size() && reserved_[static_cast<size_t>(id)];
  }
  int32_t IdOfCodePoint(char32_t value) const;
  bool EncodeBytes(std::string_view bytes, Work& work) const;
  void Add(int32_t id, char32_t first, char32_t last, Work& work) const;
  void Flush(Work& work) const;
  void UpdatePair(Work& work, uint32_t at) const;

  static uint32_t PairBit(char32_t a, char32_t b);
  bool MayJoin(char32_t a, char32_t b) const {
    const uint32_t bit = PairBit(a, b);
    return (may_join_[bit / 64] >> (bit % 64) & 1) != 0;
  }
  void AllowJoinsInside(std::string_view token);

  TokenTable tokens_;
  std::vector<bool> reserved_;
  MergeTable merges_;
  std::vector<int32_t> basic_ids_;       // by code point below 65536; -1 = no token
  std::array<int32_t, 256> byte_ids_{};  // -1 = no token
  std::vector<uint64_t> may_join_;       // a set of character pairs by hash: a false "yes" only costs time
  int32_t unknown_ = -1;
  bool fuse_unknown_ = true;
  bool ignore_merges_ = false;
};

// The byte that a token such as `<0xE2>` stands for; -1 for any other text.
int ByteOfToken(std::string_view token);

}  // namespace linnet
