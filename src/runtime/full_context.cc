#include "runtime/full_context.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "runtime/context_use.h"

namespace linnet {
namespace {

// How much a context that was full is filled again: a quarter is left, so that not each turn shifts.
constexpr int64_t kKeptParts = 3, kOfParts = 4;
constexpr int64_t kMostAnswerRoom = 1024, kMostSummary = 512, kLeastSummary = 32;
// Of a summary of so many tokens; English words have about 1.4.
constexpr double kWordsPerToken = 0.6;

int64_t Size(const ChatHistory::Rendered& rendered) {
  return static_cast<int64_t>(rendered.prompt.ids.size());
}

std::string Stripped(const std::string& text) {
  const size_t begin = text.find_first_not_of(" \t\n");
  return begin == std::string::npos ? "" : text.substr(begin, text.find_last_not_of(" \t\n") - begin + 1);
}

}  // namespace

int64_t AnswerRoom(int64_t context, int64_t max_tokens) {
  const int64_t room = std::min(kMostAnswerRoom, context / 8);
  return max_tokens > 0 ? std::min(max_tokens, room) : room;
}

int64_t FullContext::SummaryTokens() const { return std::min(kMostSummary, rules_.context / 8); }

Result<int64_t> FullContext::LastTurnAlone(const ChatHistory& history) const {
  const size_t turns = history.TurnBegins().size();
  if (turns == 0) {
    LINNET_ASSIGN(const ChatHistory::Rendered all, history.Render(tokenizer_, config_));
    return Size(all);
  }
  LINNET_ASSIGN(const Shifted alone, Without(history, turns - 1, ""));
  return Size(alone.rendered);
}

Result<Shifted> FullContext::Without(const ChatHistory& history, size_t turns,
                                     const std::string& summary) const {
  const std::vector<size_t> begins = history.TurnBegins();
  ChatHistory rest = history;
  rest.DropFirstTurns(turns);
  if (!summary.empty()) rest.SetSummary(summary);
  LINNET_ASSIGN(ChatHistory::Rendered rendered, rest.Render(tokenizer_, config_));
  ContextShift shift{.turns = static_cast<int64_t>(turns),
                     .media = CountMedia(history, 0, begins[turns]),
                     .summary = summary,
                     .kept = static_cast<int64_t>(begins.size() - turns),
                     .free = rules_.context - Size(rendered)};
  return Shifted{std::move(rest), std::move(rendered), std::move(shift)};
}

// The fewest turns without which the others take `most` tokens; all but the last where that is not enough.
Result<Shifted> FullContext::Fewest(const ChatHistory& history, int64_t most) const {
  size_t low = 1, high = history.TurnBegins().size() - 1;
  std::optional<Shifted> fits;  // without `high`
  while (low < high) {
    const size_t middle = (low + high) / 2;
    LINNET_ASSIGN(Shifted tried, Without(history, middle, ""));
    if (Size(tried.rendered) <= most) {
      high = middle;
      fits = std::move(tried);
    } else {
      low = middle + 1;
    }
  }
  if (fits) return std::move(*fits);
  return Without(history, high, "");
}

Result<std::optional<Shifted>> FullContext::Refused(int64_t tokens, int64_t alone) const {
  if (alone > rules_.context) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("{} {} tokens of context, but the session holds {}",
                            alone == tokens ? "the prompt needs" : "the last turn alone needs", alone,
                            rules_.context),
                "shorten it or ask for a larger --context");
  }
  return Fail(
      ErrorCode::kInvalidArgument,
      fmt::format("the context is full: the conversation needs {} tokens, but the session holds {}", tokens,
                  rules_.context),
      "take turns back or begin anew (/undo, /reset in a chat), ask for a larger --context, or let the "
      "oldest turns go with --when-full shift");
}

Result<std::optional<Shifted>> FullContext::MakeRoom(const ChatHistory& history, int64_t tokens,
                                                     const Summariser& summarise) const {
  const int64_t room = AnswerRoom(rules_.context, rules_.max_tokens);
  if (tokens + room <= rules_.context) return std::nullopt;
  const bool shifts = rules_.when_full != WhenFull::kRefuse, more = history.TurnBegins().size() > 1;
  if (!shifts || !more) {
    if (tokens <= rules_.context) return std::nullopt;
    LINNET_ASSIGN(const int64_t alone, LastTurnAlone(history));
    if (!shifts || alone > rules_.context) return Refused(tokens, alone);
    LINNET_ASSIGN(Shifted shifted, Without(history, 0, ""));  // the summary goes
    shifted.shift.tokens = tokens - alone;
    return shifted;
  }
  const bool with_summary = rules_.when_full == WhenFull::kSummarise;
  const int64_t most = std::min(rules_.context - room, rules_.context * kKeptParts / kOfParts);
  LINNET_ASSIGN(Shifted shifted, Fewest(history, most - (with_summary ? SummaryTokens() : 0)));
  if (const int64_t alone = Size(shifted.rendered); alone > rules_.context) return Refused(tokens, alone);
  const int64_t gone = tokens - Size(shifted.rendered);
  if (with_summary) LINNET_TRY(Summarise(history, summarise, shifted));
  shifted.shift.tokens = gone;
  return shifted;
}

Status FullContext::Summarise(const ChatHistory& history, const Summariser& summarise,
                              Shifted& shifted) const {
  const auto gone = static_cast<size_t>(shifted.shift.turns);
  ChatHistory asked = history;
  asked.DropTurnsFrom(gone);
  asked.SetThinking(false);
  asked.AddUser({fmt::format("Summarise what we have said so far in at most {:.0f} words: what was asked, "
                             "found and decided, with names and numbers. Write nothing but the summary.",
                             kWordsPerToken * static_cast<double>(SummaryTokens())),
                 {},
                 {}});
  LINNET_ASSIGN(const ChatHistory::Rendered rendered, asked.Render(tokenizer_, config_));
  const int64_t most = std::min(SummaryTokens(), rules_.context - Size(rendered));
  if (most < std::min(kLeastSummary, SummaryTokens())) {
    shifted.shift.no_summary = "what goes fills the context by itself";
    return {};
  }
  LINNET_ASSIGN(const std::string written, summarise(asked, most));
  const std::string summary = Stripped(written);
  if (summary.empty()) {
    shifted.shift.no_summary = "the model wrote none";
    return {};
  }
  LINNET_ASSIGN(Shifted with_summary, Without(history, gone, summary));
  if (Size(with_summary.rendered) <= rules_.context) {
    shifted = std::move(with_summary);
  } else {
    shifted.shift.no_summary = "there is no room for it";
  }
  return {};
}

}  // namespace linnet
