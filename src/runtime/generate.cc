#include "runtime/generate.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <utility>

#include "base/memory_guard.h"
#include "base/process.h"
#include "runtime/sampler.h"
#include "runtime/stop_filter.h"
#include "runtime/written_turn.h"
#include "text/output_parser.h"
#include "text/tokenizer.h"

namespace linnet {
namespace {

using Clock = std::chrono::steady_clock;

double Seconds(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

bool Contains(std::span<const int32_t> ids, int32_t id) {
  return std::find(ids.begin(), ids.end(), id) != ids.end();
}

// One answer in the making: everything that changes from token to token.
class Writer {
 public:
  Writer(Engine& engine, const GenerateInput& input, const GenerateOptions& options,
         const GenerateHooks& hooks)
      : engine_(engine),
        options_(options),
        hooks_(hooks),
        plain_(input.plain),
        decoder_(engine.tokenizer(), true),
        parser_(engine.tokenizer(), input.inside_thought),
        recorder_(engine.tokenizer(), input.inside_thought),
        filter_(options.stop) {}

  // Takes a chosen token; the reason to end the answer, if it is one.
  std::optional<FinishReason> Take(int32_t id) {
    if (Contains(engine_.config().tokens.eos, id) || Contains(options_.stop_tokens, id))
      return StopReason(id);
    answer_.ids.push_back(id);
    if (plain_) {
      EmitText(filter_.Push(decoder_.Push(id)));
    } else {
      const OutputSection before = parser_.section();
      for (const OutputEvent& event : parser_.Push(id)) Take(event);
      recorder_.Take(id, before, parser_.section());
    }
    if (filter_.matched() || parser_.finished()) return StopReason(id);
    const int64_t count = static_cast<int64_t>(answer_.ids.size());
    if (options_.max_tokens > 0 && count >= options_.max_tokens) return FinishReason::kLength;
    return std::nullopt;
  }

  Generation Finish(FinishReason reason, GenerateStats stats) {
    EmitText(filter_.Push(decoder_.Finish()));
    const bool ended = reason == FinishReason::kStop || reason == FinishReason::kToolCall;
    for (const OutputEvent& event : parser_.Finish(!ended)) Take(event);
    EmitText(filter_.Finish());
    if (!plain_) {
      answer_.written = recorder_.Finish({answer_.thought, answer_.text, answer_.tool_calls});
    }
    if (reason == FinishReason::kStop && !answer_.tool_calls.empty()) reason = FinishReason::kToolCall;
    stats.generated_tokens = static_cast<int64_t>(answer_.ids.size());
    stats.peak_memory = PeakResidentBytes();
    answer_.finish = reason;
    answer_.stats = stats;
    return std::move(answer_);
  }

 private:
  void Take(const OutputEvent& event) {
    switch (event.kind) {
      case OutputEvent::Kind::kThought:
        answer_.thought += event.text;
        if (hooks_.on_thought) hooks_.on_thought(event.text);
        break;
      case OutputEvent::Kind::kText:
        EmitText(filter_.Push(event.text));
        break;
      case OutputEvent::Kind::kToolCall:
        if (filter_.matched()) break;
        answer_.tool_calls.push_back(event.call);
        if (hooks_.on_tool_call) hooks_.on_tool_call(event.call);
        break;
    }
  }

  void EmitText(const std::string& text) {
    if (text.empty()) return;
    answer_.text += text;
    if (hooks_.on_text) hooks_.on_text(text);
  }

  // `<|tool_response>` says that the model waits for results, even of a call that could not be read.
  FinishReason StopReason(int32_t last) const {
    const auto response = engine_.tokenizer().TokenId("<|tool_response>");
    return !plain_ && response && last == *response ? FinishReason::kToolCall : FinishReason::kStop;
  }

  Engine& engine_;
  const GenerateOptions& options_;
  const GenerateHooks& hooks_;
  bool plain_;
  StreamDecoder decoder_;  // of plain output
  OutputParser parser_;    // of any other
  WrittenTurnRecorder recorder_;
  StopFilter filter_;
  Generation answer_;
};

}  // namespace

std::string_view FinishReasonName(FinishReason reason) {
  switch (reason) {
    case FinishReason::kStop:
      return "stop";
    case FinishReason::kLength:
      return "length";
    case FinishReason::kContext:
      return "context";
    case FinishReason::kCancelled:
      return "cancelled";
    case FinishReason::kToolCall:
      return "tool_call";
  }
  return "unknown";
}

namespace {

Result<Generation> GenerateOne(Engine& engine, Session& session, const GenerateInput& input,
                               const GenerateOptions& options, const GenerateHooks& hooks) {
  LINNET_ASSIGN(const SamplingPlan plan, ResolveSampling(options.sampling, engine.config().generation));
  Sampler sampler(plan, engine.config().vocab_size);
  sampler.Accept(input.earlier);
  sampler.Accept(input.prompt.ids);
  Writer writer(engine, input, options, hooks);
  if (options.draft < -1 || options.draft > kMaxDrafts) {
    return Fail(ErrorCode::kInvalidArgument, "the number of drafts is " + std::to_string(options.draft),
                "give -1 (as many as pay off) to " + std::to_string(kMaxDrafts));
  }
  if (options.max_tokens < 0) {
    return Fail(ErrorCode::kInvalidArgument, "the number of tokens is " + std::to_string(options.max_tokens),
                "give 0 for as many as the model writes, or more");
  }
  Speculator speculator(session, sampler, options.draft);

  GenerateStats stats;
  const Clock::time_point start = Clock::now();
  LINNET_TRY(session.Feed(input.prompt, {hooks.on_prompt, hooks.cancel}));
  speculator.Begin(input.earlier, input.prompt.ids);
  const Clock::time_point prompt_end = Clock::now();
  stats.prompt_tokens = static_cast<int64_t>(input.prompt.ids.size());
  stats.prompt_seconds = Seconds(start, prompt_end);

  std::optional<FinishReason> reason;
  Clock::time_point first_token = prompt_end;
  while (!reason) {
    if (hooks.cancel != nullptr && *hooks.cancel) {
      if (stats.decode_steps == 0) return Fail(ErrorCode::kCancelled, "stopped");
      reason = FinishReason::kCancelled;
      break;
    }
    const int32_t id = sampler.Sample(speculator.logits());
    if (id < 0) {
      return Fail(ErrorCode::kBadFile, "the model computes no usable number for any token",
                  "its weights are damaged or not for this architecture; check the file with 'linnet info'");
    }
    if (stats.decode_steps == 0) {
      first_token = Clock::now();
      stats.first_token_seconds = Seconds(start, first_token);
    }
    reason = writer.Take(id);
    if (reason) break;
    if (speculator.length() >= session.context()) {
      reason = FinishReason::kContext;
      break;
    }
    sampler.Accept(id);
    LINNET_TRY(speculator.Feed(id));
    ++stats.decode_steps;
  }
  LINNET_TRY(speculator.Finish());
  stats.draft = speculator.stats();
  stats.decode_seconds = stats.decode_steps > 0 ? Seconds(first_token, Clock::now()) : 0;
  return writer.Finish(*reason, stats);
}

}  // namespace

Result<Generation> Generate(Engine& engine, Session& session, const GenerateInput& input,
                            const GenerateOptions& options, const GenerateHooks& hooks) {
  return WithinMemory("an answer", "shorten the prompt, or close other programs",
                      [&] { return GenerateOne(engine, session, input, options, hooks); });
}

}  // namespace linnet
