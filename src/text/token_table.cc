#include "text/token_table.h"

#include <bit>
#include <functional>
#include <limits>

#include "base/check.h"

namespace linnet {

void TokenTable::Reserve(size_t size, size_t bytes) {
  spans_.reserve(size);
  texts_.reserve(bytes);
  Grow(std::bit_ceil(2 * size + 16));
}

void TokenTable::Set(int32_t id, std::string_view text) {
  LINNET_CHECK(id >= 0 && !Has(id));
  LINNET_CHECK(texts_.size() + text.size() <= std::numeric_limits<uint32_t>::max());
  if (id >= size()) spans_.resize(static_cast<size_t>(id) + 1);
  if (text.empty()) return;
  spans_[static_cast<size_t>(id)] = {static_cast<uint32_t>(texts_.size()),
                                     static_cast<uint32_t>(text.size())};
  texts_ += text;
  if (2 * (used_ + 1) > slots_.size()) Grow(std::bit_ceil(4 * (used_ + 8)));
  int32_t& slot = slots_[SlotOf(text)];
  if (slot < 0) ++used_;
  slot = id;
}

std::optional<int32_t> TokenTable::Find(std::string_view text) const {
  if (slots_.empty() || text.empty()) return std::nullopt;
  const int32_t id = slots_[SlotOf(text)];
  if (id < 0) return std::nullopt;
  return id;
}

std::string_view TokenTable::Text(int32_t id) const {
  if (id < 0 || id >= size()) return {};
  const Span span = spans_[static_cast<size_t>(id)];
  return std::string_view(texts_).substr(span.offset, span.length);
}

// The slot that holds `text`, or the free one where it belongs.
size_t TokenTable::SlotOf(std::string_view text) const {
  const size_t mask = slots_.size() - 1;
  size_t slot = std::hash<std::string_view>{}(text)&mask;
  while (slots_[slot] >= 0 && Text(slots_[slot]) != text) slot = (slot + 1) & mask;
  return slot;
}

void TokenTable::Grow(size_t slots) {
  if (slots <= slots_.size()) return;
  const std::vector<int32_t> old = std::move(slots_);
  slots_.assign(slots, -1);
  for (const int32_t id : old) {
    if (id >= 0) slots_[SlotOf(Text(id))] = id;
  }
}

}  // namespace linnet
