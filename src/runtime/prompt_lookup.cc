#include "runtime/prompt_lookup.h"

namespace linnet {

PromptLookup::Match PromptLookup::Find() const {
  const int64_t n = static_cast<int64_t>(ids_.size());
  const int32_t* ids = ids_.data();
  Match best;
  for (int64_t end = n - 1; end >= kShortest && best.length < kLongest; --end) {  // a match is ids[.., end)
    if (ids[end - 1] != ids[n - 1]) continue;
    int64_t length = 1;
    while (length < kLongest && length < end && ids[end - 1 - length] == ids[n - 1 - length]) ++length;
    if (length >= kShortest && length > best.length)
      best = {length, {ids + end, static_cast<size_t>(n - end)}};
  }
  return best;
}

}  // namespace linnet
