#include "linnet/session.h"

#include <algorithm>
#include <limits>
#include <string>
#include <string_view>

#include "base/memory_guard.h"
#include "runtime/engine_impl.h"
#include "runtime/soft_rows.h"

namespace linnet {
namespace {

constexpr std::string_view kReading = "reading the prompt", kPrompt = "reading this prompt",
                           kLess = "shorten it, give smaller pictures, or close other programs";

Status CheckIds(const ModelConfig& config, std::span<const int32_t> ids) {
  if (ids.empty()) return Fail(ErrorCode::kInvalidArgument, "the prompt is empty", "give at least one token");
  for (const int32_t id : ids) {
    if (id < 0 || id >= config.vocab_size) {
      return Fail(ErrorCode::kInvalidArgument, "token id " + std::to_string(id) +
                                                   " is outside the vocabulary of " +
                                                   std::to_string(config.vocab_size));
    }
  }
  return {};
}

Status CheckRoom(const KvCache& cache, size_t tokens) {
  const int64_t needed = cache.length() + static_cast<int64_t>(tokens);
  if (needed <= cache.context()) return {};
  return Fail(ErrorCode::kInvalidArgument,
              "the prompt needs " + std::to_string(needed) + " tokens of context, but the session holds " +
                  std::to_string(cache.context()),
              "shorten it or ask for a larger --context");
}

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

int64_t LargestBlock(const std::vector<KeyRange>& blocks) {
  int64_t largest = 1;
  for (const KeyRange& block : blocks) largest = std::max(largest, block.last - block.first + 1);
  return largest;
}

}  // namespace

void SuppressTokens(const ModelConfig& config, std::span<float> logits) {
  for (const int32_t id : config.tokens.suppressed) {
    logits[static_cast<size_t>(id)] = -std::numeric_limits<float>::infinity();
  }
}

Session::Session(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Session::~Session() = default;

Status Session::Impl::Forward(const SequenceRows& rows, const std::atomic<bool>* cancel) {
  const int64_t start = cache.length();
  logits = {};
  LINNET_TRY(engine.CheckFiles());  // before the step, so that one that was cut meanwhile is not touched
  step.Clear();
  step.Add(rows);
  engine.decoder->set_probe(probe);
  Status done = engine.decoder->Forward(step, cancel);
  if (done) done = engine.CheckFiles();  // after the step: nothing comes from bytes that changed during it
  if (!done) {
    const bool whole = start >= cache.shortest() && cache.Truncate(start);
    if (!whole) LINNET_TRY(cache.Truncate(0));
    return done;
  }
  const Rows results = step.logits(0);
  const size_t width = static_cast<size_t>(results.width);
  for (int64_t r = 0; r < results.rows; ++r) SuppressTokens(engine.config, {results.row(r), width});
  if (results.rows > 0) logits = {results.row(results.rows - 1), width};
  return {};
}

SequenceRows Session::Impl::RowsOf(std::span<const int32_t> ids, bool last) {
  const int64_t count = static_cast<int64_t>(ids.size());
  return {.cache = &cache, .ids = ids, .mask_rule = mask_rule, .wanted = all_logits ? count : last ? 1 : 0};
}

void Session::Impl::Reserve() {
  engine.decoder->Reserve(cache.rows_per_call());
  ReserveResults(all_logits ? cache.rows_per_call() : 1);
}

void Session::Impl::ReserveResults(int64_t wanted) {
  step.Reserve(engine.config, cache.rows_per_call(), wanted);
  if (step.sequences() == 0) logits = {};
}

Status Session::Impl::FeedPrompt(const Prompt& prompt, const FeedHooks& hooks) {
  const int64_t start = cache.length();
  const std::vector<KeyRange> block_of = Blocks(prompt, start);
  LINNET_TRY(cache.ReserveBlock(LargestBlock(block_of)));
  Reserve();

  SoftRows media(engine, prompt, probe);
  const int64_t n = static_cast<int64_t>(prompt.ids.size());
  const int64_t width = engine.config.hidden_size;
  std::vector<int32_t> ids;
  std::vector<float> soft;
  for (int64_t begin = 0; begin < n;) {
    const int64_t end = WholeBlocksEnd(block_of, start, begin, cache.rows_per_call());
    ids.assign(prompt.ids.begin() + begin, prompt.ids.begin() + end);
    soft.clear();
    for (int64_t t = begin; t < end; ++t) {
      const TokenType type = prompt.types[static_cast<size_t>(t)];
      if (type == TokenType::kText) continue;
      ids[static_cast<size_t>(t - begin)] = -1;
      const float* row = media.Next(type);
      soft.insert(soft.end(), row, row + width);
    }
    const Rows soft_rows = MakeRows(soft.data(), static_cast<int64_t>(soft.size()) / width, width);
    SequenceRows rows = RowsOf(ids, end == n);
    rows.soft = soft_rows;
    rows.blocks = std::span(block_of).subspan(static_cast<size_t>(begin), static_cast<size_t>(end - begin));
    LINNET_TRY(Forward(rows, hooks.cancel));
    begin = end;
    if (hooks.progress) hooks.progress(static_cast<double>(end) / static_cast<double>(n), kReading);
  }
  return {};
}

Status Session::Impl::FeedIds(std::span<const int32_t> ids, const FeedHooks& hooks) {
  const size_t rows = static_cast<size_t>(cache.rows_per_call());
  Reserve();
  for (size_t begin = 0; begin < ids.size();) {
    const size_t end = std::min(begin + rows, ids.size());
    LINNET_TRY(Forward(RowsOf(ids.subspan(begin, end - begin), end == ids.size()), hooks.cancel));
    begin = end;
    if (!hooks.progress) continue;
    hooks.progress(static_cast<double>(end) / static_cast<double>(ids.size()), kReading);
  }
  return {};
}

Status Session::Feed(const Prompt& prompt, const FeedHooks& hooks) {
  LINNET_TRY(CheckIds(impl_->engine.config, prompt.ids));
  LINNET_TRY(CheckRoom(impl_->cache, prompt.ids.size()));
  LINNET_TRY(CheckMedia(impl_->engine, prompt));
  return WithinMemory(kPrompt, kLess, [&] { return impl_->FeedPrompt(prompt, hooks); });
}

Status Session::Feed(std::span<const int32_t> ids, const FeedHooks& hooks) {
  LINNET_TRY(CheckIds(impl_->engine.config, ids));
  LINNET_TRY(CheckRoom(impl_->cache, ids.size()));
  return WithinMemory(kPrompt, kLess, [&] { return impl_->FeedIds(ids, hooks); });
}

std::span<const float> Session::logits() const { return impl_->logits; }
int64_t Session::length() const { return impl_->cache.length(); }
int64_t Session::context() const { return impl_->cache.context(); }
uint64_t Session::cache_bytes() const { return impl_->cache.bytes(); }

Status Session::Truncate(int64_t length) {
  LINNET_TRY(impl_->cache.Truncate(length));
  impl_->logits = {};
  return {};
}

}  // namespace linnet
