#include "linnet/session.h"

#include <algorithm>
#include <string_view>

#include "base/memory_guard.h"
#include "runtime/engine_impl.h"
#include "runtime/prompt_reader.h"

namespace linnet {
namespace {

constexpr std::string_view kReading = "reading the prompt", kPrompt = "reading this prompt",
                           kLess = "shorten it, give smaller pictures, or close other programs";

}  // namespace

Session::Session(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Session::~Session() {
  PrefixStore& prefixes = impl_->engine.prefixes;
  impl_.reset();
  prefixes.Trim();  // pages that both held are its own now
}

Status Session::Impl::Forward(SequenceRows rows, const std::atomic<bool>* cancel) {
  logits = {};
  rows.mask_rule = mask_rule;
  if (all_logits) rows.wanted = static_cast<int64_t>(rows.ids.size());
  step.Clear();
  LINNET_TRY(step.Add(rows));
  LINNET_TRY(engine.RunStep(step, cancel, probe));
  const Rows results = step.logits(0);
  if (results.rows > 0) {
    logits = {results.row(results.rows - 1), static_cast<size_t>(results.width)};
  }
  return {};
}

void Session::Impl::Reserve(int64_t wanted) {
  engine.decoder->Reserve(cache.rows_per_call());
  step.Reserve(engine.config, cache.rows_per_call(),
               all_logits ? std::max(wanted, cache.rows_per_call()) : wanted);
  if (step.sequences() == 0) logits = {};
}

Status Session::Impl::FeedPrompt(const Prompt& prompt, const FeedHooks& hooks) {
  PromptReader reader(engine, cache, prompt, probe);
  LINNET_TRY(cache.ReserveBlock(reader.largest_block()));
  Reserve();
  while (!reader.done()) {
    LINNET_TRY(Forward(reader.Next(cache.rows_per_call()), hooks.cancel));
    reader.Read();
    if (hooks.progress) hooks.progress(reader.fraction(), kReading);
  }
  return {};
}

Status Session::Impl::FeedIds(std::span<const int32_t> ids, const FeedHooks& hooks) {
  const size_t rows = static_cast<size_t>(cache.rows_per_call());
  Reserve();
  for (size_t begin = 0; begin < ids.size();) {
    const size_t end = std::min(begin + rows, ids.size());
    LINNET_TRY(Forward({.cache = &cache, .ids = ids.subspan(begin, end - begin), .wanted = end == ids.size()},
                       hooks.cancel));
    begin = end;
    if (!hooks.progress) continue;
    hooks.progress(static_cast<double>(end) / static_cast<double>(ids.size()), kReading);
  }
  return {};
}

Status Session::Impl::Feed(const Prompt& prompt, const FeedHooks& hooks) {
  LINNET_TRY(CheckPrompt(engine, cache, prompt));
  return WithinMemory(kPrompt, kLess, [&] { return FeedPrompt(prompt, hooks); });
}

Status Session::Feed(std::span<const int32_t> ids, const FeedHooks& hooks) {
  LINNET_TRY(CheckIds(impl_->engine, impl_->cache, ids));
  return WithinMemory(kPrompt, kLess, [&] { return impl_->FeedIds(ids, hooks); });
}

std::span<const float> Session::logits() const { return impl_->logits; }
int64_t Session::length() const { return impl_->cache.length(); }
int64_t Session::context() const { return impl_->cache.context(); }

Status Session::Truncate(int64_t length) {
  LINNET_TRY(impl_->cache.Truncate(length));
  impl_->logits = {};
  return {};
}

}  // namespace linnet
