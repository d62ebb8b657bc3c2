// Token texts by id, and ids by text. All texts lie in one block of memory.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace linnet {

class TokenTable {
 public:
  // Room for ids 0..size-1 whose texts have `bytes` bytes together.
  void Reserve(size_t size, size_t bytes);

  // Gives an id its text; the id becomes the one found by this text, also if an earlier id has the same text.
  // An empty text only makes room. REQUIRES: the id is not negative, has no text yet, and all texts together
  // stay under 4 GiB.
  void Set(int32_t id, std::string_view text);

  std::optional<int32_t> Find(std::string_view text) const;
  std::string_view Text(int32_t id) const;  // empty for an id without a text
  bool Has(int32_t id) const { return !Text(id).empty(); }
  int32_t size() const { return static_cast<int32_t>(spans_.size()); }
  uint64_t bytes() const {
    return texts_.capacity() + spans_.capacity() * sizeof(Span) + slots_.capacity() * sizeof(int32_t);
  }

 private:
  struct Span {
    uint32_t offset = 0, length = 0;
  };

  size_t SlotOf(std::string_view text) const;
  void Grow(size_t slots);

  std::string texts_;
  std::vector<Span> spans_;     // by id
  std::vector<int32_t> slots_;  // open addressing, a power of two; -1 = free
  size_t used_ = 0;
};

}  // namespace linnet
