// One call of the decoder in the making: the rows of each sequence that takes part, and afterwards what was
// computed for them.
//
//   step.Reserve(config, 9, 2); decoder.Reserve(9);
//   step.Clear(); step.Add(prompt_rows), step.Add(next_token), each of which may find no memory;
//   decoder.Forward(step); … step.logits(1) …
//
// What it returns stays as it is until the next Clear() or Reserve() of this step, whatever other steps do.
//
// Thread safety: one thread at a time, as its decoder.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/buffers.h"
#include "linnet/error.h"
#include "linnet/options.h"
#include "model/config.h"
#include "model/kv_cache.h"
#include "ops/attention.h"
#include "ops/context.h"

namespace linnet {

// Consecutive rows of one sequence, which the call appends to its cache. A token to decode is one row; drafts
// to verify are rows behind it whose logits are all wanted; a piece of a prompt is many with none or one.
struct SequenceRows {
  KvCache* cache = nullptr;
  std::span<const int32_t> ids;  // (n); a negative id takes the next row of `soft`
  Rows soft;                     // soft tokens, in order; may be empty
  // Of every row: the absolute positions of the image block it belongs to; first > last where it belongs to
  // none. Empty when no row belongs to one. Blocks are whole: all their rows are in this call.
  std::span<const KeyRange> blocks;
  MaskRule mask_rule = MaskRule::kA;
  int64_t wanted = 1;  // logits are computed for so many of the last rows
};

// Where a piece of at most `rows` rows that begins at row `begin` ends, so that no block is split: in front
// of a block that does not fit, or behind it where it alone is longer. `blocks` as in SequenceRows; row 0 is
// at position `start`.
int64_t WholeBlocksEnd(std::span<const KeyRange> blocks, int64_t start, int64_t begin, int64_t rows);

class Step {
 public:
  // Room for `rows` rows, logits of `wanted` of them. Keeps nothing where it grows. Throws std::bad_alloc.
  void Reserve(const ModelConfig& config, int64_t rows, int64_t wanted);
  static uint64_t PlannedBytes(const ModelConfig& config, int64_t rows, int64_t wanted);

  // The next call: no sequence takes part yet, nothing is computed.
  void Clear();
  // One more sequence, counted from 0, with pages for its rows. What its spans refer to must live until the
  // call is over. Error: kOutOfMemory, the step is as before. REQUIRES: Reserve() covered its rows; the cache
  // has room and takes part once.
  Status Add(const SequenceRows& rows);
  // After a call that failed: every cache goes back to where it began, or to nothing where its window has
  // been overwritten.
  void TakeBack();

  int64_t rows() const { return static_cast<int64_t>(ids_.size()); }
  size_t sequences() const { return sequences_.size(); }

  // Of the wanted rows of a sequence; empty before Decoder::Forward() has succeeded.
  Rows hidden(size_t sequence) const {
    return Results(hidden_, sequence);
  }  // (wanted, D) after the final norm
  Rows logits(size_t sequence) const { return Results(logits_, sequence); }  // (wanted, V) after the soft-cap

 private:
  friend class Decoder;
  struct Sequence {
    SequenceRows rows;
    int64_t first = 0;         // of its rows in the call
    int64_t first_wanted = 0;  // of its results
    int64_t start = 0;         // position of its first row
    int64_t count() const { return static_cast<int64_t>(rows.ids.size()); }
  };
  Rows Results(Rows all, size_t sequence) const;
  void List(BufferList& list, const ModelConfig& config, int64_t rows, int64_t wanted);

  std::vector<Sequence> sequences_;
  std::vector<int32_t> ids_;        // (T)
  std::vector<int64_t> positions_;  // (T)
  AlignedBuffer<float> results_;    // hidden states, then logits
  int64_t wanted_ = 0, room_ = 0;   // rows whose results are wanted, or fit
  Rows hidden_, logits_;
};

}  // namespace linnet
