#include "text/merge_table.h"

#include <bit>

namespace linnet {

MergeTable::MergeTable(const std::vector<Merge>& merges) {
  const size_t slots = std::bit_ceil(merges.size() + merges.size() / 2 + 2);
  slots_.assign(slots, {});
  mask_ = slots - 1;
  shift_ = 64 - std::countr_zero(slots);
  for (const Merge& merge : merges) {
    const uint64_t key = Key(merge.left, merge.right);
    size_t slot = SlotOf(key);
    while (slots_[slot].key != kFree && slots_[slot].key != key) slot = (slot + 1) & mask_;
    slots_[slot] = {key, merge.rank, merge.joined};
  }
}

}  // namespace linnet
