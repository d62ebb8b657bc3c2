// A prompt on its way into a session, piece by piece.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "linnet/error.h"
#include "model/step.h"
#include "runtime/prompt.h"
#include "runtime/soft_rows.h"

namespace linnet {

// The ids are in the vocabulary and fit the context; the media fill their places. Errors: see Session::Feed.
Status CheckPrompt(const Engine::Impl& engine, const KvCache& cache, const Prompt& prompt);
Status CheckIds(const Engine::Impl& engine, const KvCache& cache, std::span<const int32_t> ids);

// Places of a prompt at which somebody keeps what has been read. Ascending, in the positions of the cache, in
// no medium.
struct ReadingStops {
  std::vector<int64_t> positions;
  // Called when a place has been read, while the cache can still go back to it.
  std::function<void(int64_t position)> reached;
};

class PromptReader {
 public:
  // What follows the tokens that the cache holds. REQUIRES: CheckPrompt(). Cache, prompt, probe and stops,
  // which may be null, must outlive it.
  PromptReader(Engine::Impl& engine, KvCache& cache, const Prompt& prompt, Probe* probe,
               const ReadingStops* stops = nullptr);

  // What a prompt of so many tokens takes, beside its media and the soft tokens of a piece.
  static uint64_t PlannedBytes(int64_t tokens) {
    return static_cast<uint64_t>(tokens) * (2 * sizeof(int32_t) + sizeof(TokenType) + sizeof(KeyRange));
  }

  // The longest run of picture cells, which are read at once.
  int64_t largest_block() const { return largest_block_; }

  // How many rows the next piece will have.
  int64_t NextRows(int64_t most) const { return NextEnd(most) - begin_; }
  // The next piece: at most `most` rows, but whole blocks; media are embedded here. The logits of its last
  // row are wanted where it is the last piece. The spans hold until the next call. Throws std::bad_alloc.
  SequenceRows Next(int64_t most);
  // The piece is in the cache.
  void Read();

  bool done() const { return begin_ == size(); }
  double fraction() const { return static_cast<double>(begin_) / static_cast<double>(size()); }

 private:
  int64_t size() const { return static_cast<int64_t>(prompt_.ids.size()); }
  int64_t NextEnd(int64_t most) const;
  // The stops that lie behind `begin_`, up to `end`.
  std::span<const int64_t> StopsTo(int64_t end) const;

  KvCache& cache_;
  const Prompt& prompt_;
  const ReadingStops* stops_;
  SoftRows media_;
  int64_t start_, width_, largest_block_ = 1;
  int64_t begin_ = 0, end_ = 0;   // of the piece
  std::vector<KeyRange> blocks_;  // of every row of the prompt
  std::vector<int32_t> ids_;      // of the piece
  std::vector<float> soft_;
};

}  // namespace linnet
