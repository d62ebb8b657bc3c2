// The merges of a BPE vocabulary: which two adjacent tokens become which one, and how early.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace linnet {

struct Merge {
  int32_t left = -1, right = -1;
  int32_t joined = -1;
  uint32_t rank = 0;  // lower merges first; equal ranks merge leftmost first
};

class MergeTable {
 public:
  static constexpr uint32_t kNoRank = UINT32_MAX;

  struct Found {
    uint32_t rank = kNoRank;
    int32_t joined = -1;
  };

  MergeTable() = default;
  // Of two merges of the same pair the later one counts. REQUIRES: ids are not negative, ranks below kNoRank.
  explicit MergeTable(const std::vector<Merge>& merges);

  Found Find(int32_t left, int32_t right) const {
    const uint64_t key = Key(left, right);
    for (size_t slot = SlotOf(key);; slot = (slot + 1) & mask_) {
      const Slot& found = slots_[slot];
      if (found.key == key) return {found.rank, found.joined};
      if (found.key == kFree) return {};
    }
  }

  uint64_t bytes() const { return slots_.capacity() * sizeof(Slot); }

 private:
  static constexpr uint64_t kFree = UINT64_MAX;  // no pair of non-negative ids

  struct Slot {
    uint64_t key = kFree;
    uint32_t rank = kNoRank;
    int32_t joined = -1;
  };

  static uint64_t Key(int32_t left, int32_t right) {
    return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
  }
  size_t SlotOf(uint64_t key) const {
    key ^= key >> 29;
    return static_cast<size_t>((key * 0x9E3779B97F4A7C15u) >> shift_) & mask_;
  }

  std::vector<Slot> slots_ = std::vector<Slot>(2);  // never full: every search ends at a free slot
  size_t mask_ = 1;
  int shift_ = 63;
};

}  // namespace linnet
