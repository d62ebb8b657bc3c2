#include "eval/perplexity.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include <fmt/format.h>

#include "eval/scoring.h"
#include "model/config.h"
#include "runtime/engine_impl.h"

namespace linnet {
namespace {

std::span<const float> RowOf(const Rows& rows, int64_t r) {
  return {rows.row(r), static_cast<size_t>(rows.width)};
}

// One predicted token beside the reference.
struct Divergence {
  float kl;
  bool same_top;
  double reference_nll;
};

class Meter {
 public:
  Meter(Engine& tested, Engine* reference, int64_t context, KvType kv)
      : tested_(tested),
        reference_(reference),
        context_(context),
        kv_(kv),
        bos_(tested.impl().config.tokens.bos) {}

  Status Open() {
    LINNET_ASSIGN(ScoringSession session, ScoringSession::Open(tested_, context_, kv_));
    session_.emplace(std::move(session));
    if (reference_ == nullptr) return {};
    LINNET_ASSIGN(ScoringSession other, ScoringSession::Open(*reference_, context_));
    other_.emplace(std::move(other));
    return {};
  }

  // Adds a text; `done` counts its predicted tokens as they come.
  Result<TextScore> Score(const TokenText& text, const std::function<void(int64_t)>& done) {
    TextScore score{text.name, 0, 0, {}};
    const size_t before = divergences_.size();
    const int64_t prefix = bos_ >= 0 ? 1 : 0;
    for (const ScoringWindow& window :
         ScoringWindows(static_cast<int64_t>(text.ids.size()), std::max<int64_t>(1, context_ - prefix))) {
      std::vector<int32_t> ids(static_cast<size_t>(prefix), bos_);
      ids.insert(ids.end(), text.ids.begin() + window.first, text.ids.begin() + window.last);
      // Without a bos nothing predicts the very first token.
      const int64_t first = std::max<int64_t>(1, prefix + window.scored - window.first);
      LINNET_TRY(ScoreWindow(ids, first, score));
      done(score.tokens);
    }
    nll_sum_ += score.mean_nll;
    tokens_ += score.tokens;
    if (score.tokens == 0) {
      return Fail(ErrorCode::kInvalidArgument, text.name + " is too short to predict anything",
                  "give more text");
    }
    score.mean_nll /= static_cast<double>(score.tokens);
    if (other_) score.comparison = Comparison(before);
    return score;
  }

  TextScore Total() const {
    TextScore score{"all", tokens_, nll_sum_ / static_cast<double>(std::max<int64_t>(tokens_, 1)), {}};
    if (other_) score.comparison = Comparison(0);
    return score;
  }

 private:
  // Over the tokens from `first` on.
  ModelComparison Comparison(size_t first) const {
    ModelComparison result;
    std::vector<Divergence> part(divergences_.begin() + static_cast<ptrdiff_t>(first), divergences_.end());
    if (part.empty()) return result;
    const double count = static_cast<double>(part.size());
    for (const Divergence& token : part) {
      result.kl_mean += token.kl / count;
      result.top1 += token.same_top ? 1 : 0;
      result.reference_nll += token.reference_nll;
    }
    result.top1 /= count;
    result.reference_nll /= count;
    const auto smaller = [](const Divergence& a, const Divergence& b) { return a.kl < b.kl; };
    const auto rank = part.begin() + static_cast<ptrdiff_t>(0.99 * (count - 1));
    std::nth_element(part.begin(), rank, part.end(), smaller);
    result.kl_99 = rank->kl;
    result.kl_max = std::max_element(rank, part.end(), smaller)->kl;
    return result;
  }

  // Predicts ids [first, size) of a window, each from those before it.
  Status ScoreWindow(std::span<const int32_t> ids, int64_t first, TextScore& score) {
    const int64_t last_input =
        static_cast<int64_t>(ids.size()) - 1;  // the last token predicts nothing that is known
    const std::span<const int32_t> context = ids.first(static_cast<size_t>(first - 1));
    LINNET_TRY(session_->session().Truncate(0));
    LINNET_TRY(session_->Skip(context));
    if (other_) {
      LINNET_TRY(other_->session().Truncate(0));
      LINNET_TRY(other_->Skip(context));
    }
    for (int64_t begin = first - 1; begin < last_input; begin += ScoringSession::kRows) {
      const int64_t rows = std::min(ScoringSession::kRows, last_input - begin);
      const auto part = ids.subspan(static_cast<size_t>(begin), static_cast<size_t>(rows));
      LINNET_ASSIGN(const Rows logits, session_->Feed(part));
      Rows expected;
      if (other_) {
        LINNET_ASSIGN(expected, other_->Feed(part));
      }
      for (int64_t r = 0; r < rows; ++r) {
        const int32_t next = ids[static_cast<size_t>(begin + r + 1)];
        LINNET_TRY(ScoreRow(RowOf(logits, r), next, score));
        if (other_) Compare(RowOf(expected, r), RowOf(logits, r), next);
      }
    }
    return {};
  }

  // mean_nll holds the sum until the text is done.
  Status ScoreRow(std::span<const float> logits, int32_t next, TextScore& score) {
    const double nll = LogSumExp(logits) - logits[static_cast<size_t>(next)];
    if (!std::isfinite(nll)) {
      return Fail(ErrorCode::kBadFile, "the model computes no usable number for a token of " + score.name,
                  "its weights are damaged or not for this architecture; check the file with 'linnet info'");
    }
    score.mean_nll += nll;
    ++score.tokens;
    return {};
  }

  void Compare(std::span<const float> reference, std::span<const float> tested, int32_t next) {
    divergences_.push_back({static_cast<float>(KlDivergence(reference, tested)),
                            Argmax(reference) == Argmax(tested),
                            LogSumExp(reference) - reference[static_cast<size_t>(next)]});
  }

  Engine& tested_;
  Engine* reference_;
  int64_t context_;
  KvType kv_;
  int32_t bos_;
  std::optional<ScoringSession> session_, other_;
  double nll_sum_ = 0;
  int64_t tokens_ = 0;
  std::vector<Divergence> divergences_;
};

Result<int64_t> ContextOf(const Engine& tested, const Engine* reference, int64_t wanted) {
  int64_t longest = tested.impl().config.max_position_embeddings;
  if (reference != nullptr) {
    longest = std::min(longest, reference->impl().config.max_position_embeddings);
    if (reference->impl().config.vocab_size != tested.impl().config.vocab_size) {
      return Fail(ErrorCode::kInvalidArgument,
                  fmt::format("the vocabularies hold {} and {} tokens", tested.impl().config.vocab_size,
                              reference->impl().config.vocab_size),
                  "compare two files of the same model");
    }
  }
  const int64_t context = wanted > 0 ? wanted : std::min(longest, kScoredContext);
  if (context < 2 || context > longest) {
    return Fail(ErrorCode::kInvalidArgument, fmt::format("a context of {} tokens", context),
                fmt::format("give 2 to {}", longest));
  }
  return context;
}

}  // namespace

double TextScore::Perplexity() const { return std::exp(mean_nll); }

std::vector<ScoringWindow> ScoringWindows(int64_t ids, int64_t room) {
  std::vector<ScoringWindow> windows;
  int64_t scored = 0;
  while (scored < ids) {
    const int64_t advance = scored == 0 ? room : std::max<int64_t>(1, room / 2);
    const int64_t last = std::min(ids, scored + advance);
    windows.push_back({std::max<int64_t>(0, last - room), last, scored});
    scored = last;
  }
  return windows;
}

Result<PerplexityResult> MeasurePerplexity(Engine& tested, Engine* reference,
                                           std::span<const TokenText> texts, const PerplexityOptions& options,
                                           const Progress& progress) {
  PerplexityResult result;
  LINNET_ASSIGN(result.context, ContextOf(tested, reference, options.context));
  Meter meter(tested, reference, result.context, options.kv);
  LINNET_TRY(meter.Open());
  int64_t all = 0, before = 0;
  for (const TokenText& text : texts) all += static_cast<int64_t>(text.ids.size());
  for (const TokenText& text : texts) {
    const auto done = [&](int64_t tokens) {
      if (progress && all > 0)
        progress(static_cast<double>(before + tokens) / static_cast<double>(all), text.name);
    };
    LINNET_ASSIGN(TextScore score, meter.Score(text, done));
    before += static_cast<int64_t>(text.ids.size());
    result.texts.push_back(std::move(score));
  }
  result.total = meter.Total();
  return result;
}

}  // namespace linnet
