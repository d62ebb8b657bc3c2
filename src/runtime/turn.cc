#include "runtime/turn.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/memory_guard.h"
#include "base/process.h"
#include "runtime/logprobs.h"
#include "runtime/stop_filter.h"
#include "runtime/written_turn.h"
#include "text/output_parser.h"
#include "text/tokenizer.h"

namespace linnet {
namespace {

bool IsOneOf(std::span<const int32_t> ids, int32_t id) {
  return std::find(ids.begin(), ids.end(), id) != ids.end();
}

Status CheckOptions(const GenerateOptions& options) {
  if (options.draft < -1 || options.draft > kMaxDrafts) {
    return linnet::Fail(ErrorCode::kInvalidArgument,
                        "the number of drafts is " + std::to_string(options.draft),
                        "give -1 (as many as pay off) to " + std::to_string(kMaxDrafts));
  }
  if (options.logprobs < -1) {
    return linnet::Fail(ErrorCode::kInvalidArgument,
                        "the number of log probabilities is " + std::to_string(options.logprobs),
                        "give -1 for none, or more");
  }
  if (options.max_tokens < 0) {
    return linnet::Fail(ErrorCode::kInvalidArgument,
                        "the number of tokens is " + std::to_string(options.max_tokens),
                        "give 0 for as many as the model writes, or more");
  }
  return {};
}

}  // namespace

// The text side of a turn: everything that tokens become.
class TurnWriter {
 public:
  TurnWriter(Engine& engine, const TurnInput& input, const GenerateOptions& options)
      : engine_(engine),
        options_(options),
        plain_(input.plain),
        decoder_(*engine.impl().tokenizer, true),
        parser_(*engine.impl().tokenizer, input.inside_thought),
        recorder_(*engine.impl().tokenizer, input.inside_thought),
        filter_(options.stop) {}

  // Takes a chosen token and the logits that it was chosen from; the reason to end the answer, if it is one.
  std::optional<FinishReason> Take(int32_t id, std::span<const float> logits) {
    if (IsOneOf(engine_.impl().config.tokens.eos, id) || IsOneOf(options_.stop_tokens, id))
      return StopReason(id);
    answer_.ids.push_back(id);
    if (IsText(id)) {
      logprobs_.push_back(LogprobOf(*engine_.impl().tokenizer, logits, id, options_.logprobs));
    }
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

  void End(FinishReason reason) {
    EmitText(filter_.Push(decoder_.Finish()));
    const bool ended = reason == FinishReason::kStop || reason == FinishReason::kToolCall;
    for (const OutputEvent& event : parser_.Finish(!ended)) Take(event);
    EmitText(filter_.Finish());
    if (!plain_) {
      answer_.written = recorder_.Finish({answer_.thought, answer_.text, answer_.tool_calls});
    }
    if (reason == FinishReason::kStop && !answer_.tool_calls.empty()) reason = FinishReason::kToolCall;
    answer_.finish = reason;
    answer_.stop_text = filter_.match();
  }

  Generation& answer() { return answer_; }
  std::vector<TurnEvent> TakeEvents() { return std::exchange(events_, {}); }

 private:
  void Take(const OutputEvent& event) {
    switch (event.kind) {
      case OutputEvent::Kind::kThought:
        answer_.thought += event.text;
        events_.push_back({TurnEvent::Kind::kThought, event.text, {}});
        break;
      case OutputEvent::Kind::kText:
        EmitText(filter_.Push(event.text));
        break;
      case OutputEvent::Kind::kToolCall:
        if (filter_.matched()) break;
        answer_.tool_calls.push_back(event.call);
        events_.push_back({TurnEvent::Kind::kToolCall, {}, event.call});
        break;
      case OutputEvent::Kind::kCallPart:
        if (!filter_.matched()) events_.push_back({TurnEvent::Kind::kCallPart, event.text, event.call});
        break;
    }
  }

  // Whether it becomes text whose probabilities are to be told.
  bool IsText(int32_t id) const {
    if (options_.logprobs < 0 || filter_.matched()) return false;
    return plain_ || (parser_.section() == OutputSection::kText && !engine_.impl().tokenizer->IsSpecial(id));
  }

  void EmitText(const std::string& text) {
    if (text.empty()) return;
    answer_.text += text;
    answer_.logprobs.insert(answer_.logprobs.end(), logprobs_.begin(), logprobs_.end());
    events_.push_back({TurnEvent::Kind::kText, text, {}, std::exchange(logprobs_, {})});
  }

  // `<|tool_response>` says that the model waits for results, even of a call that could not be read.
  FinishReason StopReason(int32_t last) const {
    const auto response = engine_.impl().tokenizer->TokenId("<|tool_response>");
    return !plain_ && response && last == *response ? FinishReason::kToolCall : FinishReason::kStop;
  }

  Engine& engine_;
  GenerateOptions options_;
  bool plain_;
  StreamDecoder decoder_;  // of plain output
  OutputParser parser_;    // of any other
  WrittenTurnRecorder recorder_;
  StopFilter filter_;
  Generation answer_;
  std::vector<TurnEvent> events_;
  std::vector<TokenLogprob> logprobs_;  // of text that is not certain yet
};

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
    case FinishReason::kRepetition:
      return "repetition";
  }
  return "unknown";
}

Turn::Impl::Impl(Engine& engine, Session& session, TurnInput turn_input, const GenerateOptions& options,
                 const SamplingPlan& plan)
    : input(std::move(turn_input)),
      sampler(plan, engine.impl().config.vocab_size),
      allowed(engine.impl().config.tokens.suppressed, engine.impl().config.vocab_size, options.mask),
      continuation(session.impl(), {sampler, allowed}, options.draft),
      writer(std::make_unique<TurnWriter>(engine, input, options)) {
  allowed.Begin({.may_think = input.may_think, .inside_thought = input.inside_thought});
}

Turn::Impl::~Impl() = default;

void Turn::Impl::End(FinishReason reason) {
  writer->End(reason);
  done = true;
  GenerateStats& stats = writer->answer().stats;
  stats.prompt_tokens = static_cast<int64_t>(input.prompt->ids.size());
  stats.reused_tokens = input.reused;
  stats.dropped_tokens = input.dropped;
  stats.prompt_seconds = prompt_seconds;
  stats.first_token_seconds = first_token_seconds;
  stats.generated_tokens = static_cast<int64_t>(writer->answer().ids.size());
  stats.decode_steps = continuation.fed();
  stats.decode_seconds = stats.decode_steps > 0 ? SecondsSince(first_token) : 0;
  stats.peak_memory = PeakResidentBytes();
}

// Takes a choice; whether the answer goes on.
bool Turn::Impl::Choose(int32_t id, std::span<const float> logits) {
  if (!chosen) {
    chosen = true;
    first_token = Clock::now();
    first_token_seconds = SecondsSince(start);
  }
  std::optional<FinishReason> reason = writer->Take(id, logits);
  if (!reason && allowed.Endless()) reason = FinishReason::kRepetition;
  if (!reason && continuation.full()) reason = FinishReason::kContext;
  if (reason) End(*reason);
  return !reason;
}

SequenceRows Turn::Impl::Want(const RowLimits& limits) {
  LINNET_CHECK(!done);
  return continuation.Want(limits);
}

void Turn::Impl::Take(const Computed& computed) {
  if (continuation.reading() && cancelled()) return Cancel();  // while the last layers were computed
  if (continuation.reading()) prompt_seconds = SecondsSince(start);
  const Status taken = continuation.Take(
      computed, [this](int32_t id, std::span<const float> logits) { return Choose(id, logits); });
  if (!taken) Fail(taken.error());
}

void Turn::Impl::Cancel() {
  if (done) return;
  if (!chosen) return Fail({ErrorCode::kCancelled, "stopped", {}});
  FailUnless([this]() -> Status {
    End(FinishReason::kCancelled);
    return {};
  });
}

void Turn::Impl::Fail(Error why) {
  done = true;
  error = std::move(why);
}

Result<std::unique_ptr<Turn>> BeginTurn(Engine& engine, Session& session, TurnInput input,
                                        const GenerateOptions& options) {
  LINNET_TRY(CheckOptions(options));
  LINNET_ASSIGN(const SamplingPlan plan, ResolveSampling(options.sampling, engine.impl().config.generation));
  return WithinMemory(kAnswer, kShorten, [&]() -> Result<std::unique_ptr<Turn>> {
    auto impl = std::make_unique<Turn::Impl>(engine, session, std::move(input), options, plan);
    LINNET_TRY(impl->continuation.Begin(*impl->input.prompt, impl->input.earlier, &impl->input.stops));
    return std::make_unique<Turn>(std::move(impl));
  });
}

Turn::Turn(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Turn::~Turn() = default;

Result<std::unique_ptr<Turn>> Turn::Begin(Engine& engine, Session& session, std::span<const int32_t> ids,
                                          const GenerateOptions& options, const std::atomic<bool>* cancel) {
  return WithinMemory(kAnswer, kShorten, [&] {
    Prompt prompt{.ids = {ids.begin(), ids.end()}, .types = std::vector(ids.size(), TokenType::kText)};
    return BeginTurn(engine, session,
                     {.prompt = std::make_shared<const Prompt>(std::move(prompt)),
                      .earlier = {},
                      .plain = true,
                      .cancel = cancel},
                     options);
  });
}

void Turn::Cancel() { impl_->Cancel(); }
bool Turn::done() const { return impl_->done; }
bool Turn::reading() const { return impl_->continuation.reading(); }
double Turn::fraction_read() const { return impl_->continuation.fraction_read(); }
std::vector<TurnEvent> Turn::TakeEvents() { return impl_->writer->TakeEvents(); }

Result<Generation> Turn::Finish() {
  LINNET_CHECK(done());
  if (impl_->error) return std::unexpected(*impl_->error);
  impl_->writer->answer().stats.draft = impl_->continuation.speculator().stats();
  return std::move(impl_->writer->answer());
}

}  // namespace linnet
