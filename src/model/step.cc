#include "model/step.h"

#include <algorithm>

#include "base/check.h"

namespace linnet {

int64_t WholeBlocksEnd(std::span<const KeyRange> blocks, int64_t start, int64_t begin, int64_t rows) {
  const int64_t n = static_cast<int64_t>(blocks.size());
  const int64_t end = std::min(n, begin + rows);
  if (end == n) return end;
  const KeyRange& last = blocks[static_cast<size_t>(end - 1)];
  if (last.first > last.last || last.last == start + end - 1) return end;
  const int64_t block_begin = last.first - start;
  return block_begin > begin ? block_begin : last.last - start + 1;
}

void Step::List(BufferList& list, const ModelConfig& config, int64_t rows, int64_t wanted) {
  list.Add(ids_, rows);
  list.Add(positions_, rows);
  list.Add(sequences_, rows);
  list.Add(results_, wanted * (config.hidden_size + config.vocab_size));
}

uint64_t Step::PlannedBytes(const ModelConfig& config, int64_t rows, int64_t wanted) {
  BufferList list(false);
  Step().List(list, config, rows, wanted);
  return list.bytes();
}

void Step::Reserve(const ModelConfig& config, int64_t rows, int64_t wanted) {
  if (wanted > room_) {
    Clear();
    room_ = 0;
  }
  BufferList list(true);
  List(list, config, rows, wanted);
  room_ = std::max(room_, wanted);
}

void Step::Clear() {
  sequences_.clear();
  ids_.clear();
  positions_.clear();
  wanted_ = 0;
  hidden_ = logits_ = {};
}

Status Step::Add(const SequenceRows& rows) {
  const int64_t count = static_cast<int64_t>(rows.ids.size());
  LINNET_CHECK(count > 0 && rows.wanted >= 0 && rows.wanted <= count);
  LINNET_CHECK(ids_.size() + rows.ids.size() <= ids_.capacity());
  LINNET_TRY(rows.cache->ReserveRows(count));
  const int64_t start = rows.cache->length();
  sequences_.push_back({rows, this->rows(), wanted_, start});
  ids_.insert(ids_.end(), rows.ids.begin(), rows.ids.end());
  for (int64_t r = 0; r < count; ++r) positions_.push_back(start + r);
  wanted_ += rows.wanted;
  return {};
}

void Step::TakeBack() {
  for (const Sequence& s : sequences_) {
    KvCache& cache = *s.rows.cache;
    const bool whole = s.start >= cache.shortest() && cache.Truncate(s.start).has_value();
    if (!whole) (void)cache.Truncate(0);
  }
}

Rows Step::Results(Rows all, size_t sequence) const {
  if (all.rows == 0) return {};
  const Sequence& s = sequences_[sequence];
  return all.Slice(s.first_wanted, s.rows.wanted);
}

}  // namespace linnet
