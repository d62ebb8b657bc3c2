#include "runtime/prompt_reader.h"

#include <algorithm>
#include <string>

namespace linnet {
namespace {

// The image block of every token as absolute positions: a maximal run of picture placeholders.
std::vector<KeyRange> Blocks(const Prompt& prompt, int64_t start) {
  const int64_t n = static_cast<int64_t>(prompt.types.size());
  std::vector<KeyRange> blocks(static_cast<size_t>(n), KeyRange{0, -1});
  for (int64_t t = 0; t < n;) {
    int64_t end = t;
    while (end < n && IsPicture(prompt.types[static_cast<size_t>(end)])) ++end;
    for (int64_t i = t; i < end; ++i) blocks[static_cast<size_t>(i)] = {start + t, start + end - 1};
    t = std::max(end, t + 1);
  }
  return blocks;
}

}  // namespace

Status CheckIds(const Engine::Impl& engine, const KvCache& cache, std::span<const int32_t> ids) {
  if (ids.empty()) return Fail(ErrorCode::kInvalidArgument, "the prompt is empty", "give at least one token");
  for (const int32_t id : ids) {
    if (id >= 0 && id < engine.config.vocab_size) continue;
    return Fail(ErrorCode::kInvalidArgument, "token id " + std::to_string(id) +
                                                 " is outside the vocabulary of " +
                                                 std::to_string(engine.config.vocab_size));
  }
  const int64_t needed = cache.length() + static_cast<int64_t>(ids.size());
  if (needed <= cache.context()) return {};
  return Fail(ErrorCode::kInvalidArgument,
              "the prompt needs " + std::to_string(needed) + " tokens of context, but the session holds " +
                  std::to_string(cache.context()),
              "shorten it or ask for a larger --context");
}

Status CheckPrompt(const Engine::Impl& engine, const KvCache& cache, const Prompt& prompt) {
  LINNET_TRY(CheckIds(engine, cache, prompt.ids));
  return CheckMedia(engine, prompt);
}

PromptReader::PromptReader(Engine::Impl& engine, KvCache& cache, const Prompt& prompt, Probe* probe,
                           const ReadingStops* stops)
    : cache_(cache),
      prompt_(prompt),
      stops_(stops),
      media_(engine, prompt, probe),
      start_(cache.length()),
      width_(engine.config.hidden_size),
      blocks_(Blocks(prompt, start_)) {
  for (const KeyRange& block : blocks_) {
    largest_block_ = std::max(largest_block_, block.last - block.first + 1);
  }
}

std::span<const int64_t> PromptReader::StopsTo(int64_t end) const {
  if (stops_ == nullptr) return {};
  const std::vector<int64_t>& all = stops_->positions;
  const auto first = std::ranges::upper_bound(all, start_ + begin_);
  return {first, std::upper_bound(first, all.end(), start_ + end)};
}

void PromptReader::Read() {
  for (const int64_t stop : StopsTo(end_)) stops_->reached(stop);
  begin_ = end_;
}

int64_t PromptReader::NextEnd(int64_t most) const {
  const int64_t end = WholeBlocksEnd(blocks_, start_, begin_, most);
  // A stop near the end of a piece is one that the cache can go back to, and costs no piece of its own.
  const std::span<const int64_t> stops = StopsTo(end - KvCache::kRollBack - 1);
  return stops.empty() ? end : stops.front() - start_;
}

SequenceRows PromptReader::Next(int64_t most) {
  end_ = NextEnd(most);
  ids_.assign(prompt_.ids.begin() + begin_, prompt_.ids.begin() + end_);
  soft_.clear();
  const auto types = std::span(prompt_.types).subspan(static_cast<size_t>(begin_), ids_.size());
  const auto text = static_cast<size_t>(std::ranges::count(types, TokenType::kText));
  soft_.reserve((ids_.size() - text) * static_cast<size_t>(width_));
  for (int64_t t = begin_; t < end_; ++t) {
    const TokenType type = prompt_.types[static_cast<size_t>(t)];
    if (type == TokenType::kText) continue;
    ids_[static_cast<size_t>(t - begin_)] = -1;
    const float* row = media_.Next(type);
    soft_.insert(soft_.end(), row, row + width_);
  }
  return {
      .cache = &cache_,
      .ids = ids_,
      .soft = MakeRows(soft_.data(), static_cast<int64_t>(soft_.size()) / width_, width_),
      .blocks = std::span(blocks_).subspan(static_cast<size_t>(begin_), static_cast<size_t>(end_ - begin_)),
      .wanted = end_ == size() ? 1 : 0};
}

}  // namespace linnet
