#include "runtime/grammar_mask.h"

#include <algorithm>
#include <utility>

#include "runtime/token_bytes.h"
#include "runtime/token_mask.h"

namespace linnet {
namespace {

// Tokens that went by, each with what it changed, so that all of it can be taken back.
class AnswerMask final : public TokenMask {
 public:
  explicit AnswerMask(std::shared_ptr<const Grammar::Impl> grammar)
      : grammar_(std::move(grammar)),
        tokens_(*grammar_->tokens),
        state_(grammar_->start.Copy()),
        repetition_(grammar_->notation, tokens_.quote),
        words_(tokens_.words) {}

  void Begin(const AnswerStart& start) override {
    if (!steps_.empty() || error_) state_ = grammar_->start.Copy();
    steps_.clear();
    repetition_.Clear();
    thinking_ = start.may_think && tokens_.channel_open >= 0;
    phase_ = start.inside_thought && tokens_.channel_close >= 0 ? Phase::kThought : Phase::kStart;
    error_.reset();
    fresh_ = false;
    calls_ = refused_ = 0;
    spelled_ = 0;
  }

  AllowedWords Allowed() override {
    if (phase_ == Phase::kThought) return tokens_.in_thought;
    if (!fresh_) Compute();
    return words_;
  }

  void Advance(int32_t id) override {
    steps_.push_back({id, phase_, Effect::kNone, spelled_});
    fresh_ = fresh_ && phase_ == Phase::kAnswer;  // at the start a thought was allowed as well
    if (phase_ == Phase::kThought) {
      if (id == tokens_.channel_close) phase_ = Phase::kAnswer;
      return;
    }
    if (MayThink() && id == tokens_.channel_open) {
      phase_ = Phase::kThought;
      return;
    }
    // Nothing follows an end, so it is none of the grammar's tokens.
    const bool allowed = std::ranges::find(tokens_.ends, id) == tokens_.ends.end() && Takes(id);
    fresh_ = false;
    steps_.back().effect = allowed ? Effect::kAdvanced : Effect::kRefused;
    phase_ = Phase::kAnswer;
    if (!allowed) {
      ++refused_;
      return;
    }
    Note(state_.Advance(id));
    const std::string bytes = TokenBytes(grammar_->trie->tokenizer(), id);
    repetition_.Add(id, bytes);
    if (grammar_->notation == ValueNotation::kToolCalls) {
      spelled_ = bytes.starts_with(kSpecialMark) ? 0 : SpelledQuote(spelled_, bytes);
    }
    if (id == tokens_.call_close) ++calls_, steps_.back().call = true;
  }

  void RollBack(int64_t tokens) override {
    int64_t advanced = 0;
    fresh_ = fresh_ && tokens == 0;
    for (; tokens > 0 && !steps_.empty(); --tokens) {
      const Step step = steps_.back();
      steps_.pop_back();
      phase_ = step.phase;
      spelled_ = step.spelled;
      advanced += step.effect == Effect::kAdvanced ? 1 : 0;
      refused_ -= step.effect == Effect::kRefused ? 1 : 0;
      calls_ -= step.call ? 1 : 0;
    }
    if (advanced == 0) return;
    repetition_.RollBack(advanced);
    if (error_) {
      Restore();
    } else {
      Note(state_.RollBack(advanced));
    }
  }

  bool Endless() const override { return repetition_.Endless(); }
  const Error* error() const override { return error_ ? &*error_ : nullptr; }

 private:
  enum class Phase : uint8_t { kStart, kThought, kAnswer };
  enum class Effect : uint8_t { kNone, kAdvanced, kRefused };
  struct Step {
    int32_t id;
    Phase phase;  // before it
    Effect effect;
    size_t spelled;     // before it
    bool call = false;  // it ended one
  };

  bool MayThink() const { return thinking_ && phase_ == Phase::kStart; }

  void Note(const Status& status) {
    if (!status && !error_) error_ = status.error();
  }

  // What failed behind drafts says nothing of the answer without them.
  void Restore() {
    error_.reset();
    state_ = grammar_->start.Copy();
    for (const Step& step : steps_) {
      if (step.effect == Effect::kAdvanced && !error_) Note(state_.Advance(step.id));
    }
  }

  void Compute() {
    fresh_ = true;
    if (!error_ && refused_ == 0) Note(state_.Mask(words_));
    if (error_ || refused_ > 0) {
      std::ranges::fill(words_, 0);
      return;
    }
    if (MayThink()) SetAllowed(words_, tokens_.channel_open, true);
    if (grammar_->notation == ValueNotation::kToolCalls) {
      for (const int32_t id : tokens_.spell_quote[spelled_]) SetAllowed(words_, id, false);
    }
    // Nothing is to be waited for where nothing was called.
    if (calls_ == 0 && tokens_.results_wanted >= 0) SetAllowed(words_, tokens_.results_wanted, false);
  }

  bool Takes(int32_t id) {
    if (error_ || refused_ > 0 || id < 0 || static_cast<size_t>(id) / 32 >= words_.size()) return false;
    if (fresh_) return IsAllowed(words_, static_cast<size_t>(id));
    const Result<bool> takes = state_.Takes(id);
    if (!takes) Note(std::unexpected(takes.error()));
    return takes.value_or(false);
  }

  std::shared_ptr<const Grammar::Impl> grammar_;
  const GrammarTokens& tokens_;
  bool thinking_ = false;
  Phase phase_ = Phase::kStart;
  GrammarState state_;
  Repetition repetition_;
  std::vector<uint32_t> words_;
  std::vector<Step> steps_;
  std::optional<Error> error_;
  size_t spelled_ = 0;   // bytes of the quote token
  bool fresh_ = false;   // words_ are of the place where the answer stands
  int64_t calls_ = 0;    // that are written
  int64_t refused_ = 0;  // tokens behind the first that the grammar does not take
};

}  // namespace

size_t SpelledQuote(size_t spelled, std::string_view bytes) {
  for (const char c : bytes) {
    if (spelled == kToolQuote.size()) break;
    spelled = c == kToolQuote[spelled] ? spelled + 1 : c == kToolQuote[0] ? 1 : 0;
  }
  return spelled;
}

std::unique_ptr<TokenMask> NewGrammarMask(std::shared_ptr<const Grammar::Impl> grammar) {
  return std::make_unique<AnswerMask>(std::move(grammar));
}

}  // namespace linnet
