// Makes room in a conversation that fills its context.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "linnet/context.h"
#include "linnet/error.h"
#include "linnet/options.h"
#include "runtime/chat_history.h"

namespace linnet {

// Tokens that the messages must leave, lest the context counts as full. `max_tokens` as of GenerateOptions.
int64_t AnswerRoom(int64_t context, int64_t max_tokens);

struct RoomRules {
  int64_t context = 0;
  int64_t max_tokens = 0;  // of GenerateOptions
  WhenFull when_full = WhenFull::kRefuse;
};

// Answers a history that ends in the request for a summary, with so many tokens at most.
using Summariser = std::function<Result<std::string>(const ChatHistory& asked, int64_t max_tokens)>;

// A history in which an answer has room.
struct Shifted {
  ChatHistory history;
  ChatHistory::Rendered rendered;
  ContextShift shift;
};

class FullContext {
 public:
  FullContext(const Tokenizer& tokenizer, const ModelConfig& config, RoomRules rules)
      : tokenizer_(tokenizer), config_(config), rules_(rules) {}

  // Nothing where `history`, whose prompt has `tokens`, can be answered as it is. Errors: kInvalidArgument,
  // it cannot, and nothing may go, or nothing is left that may; those of the summariser and of
  // ChatHistory::Render().
  Result<std::optional<Shifted>> MakeRoom(const ChatHistory& history, int64_t tokens,
                                          const Summariser& summarise) const;

  // What the prompt takes when all goes that may.
  Result<int64_t> LastTurnAlone(const ChatHistory& history) const;

 private:
  Result<Shifted> Without(const ChatHistory& history, size_t turns, const std::string& summary) const;
  Result<Shifted> Fewest(const ChatHistory& history, int64_t most) const;
  Status Summarise(const ChatHistory& history, const Summariser& summarise, Shifted& shifted) const;
  Result<std::optional<Shifted>> Refused(int64_t tokens, int64_t alone) const;
  int64_t SummaryTokens() const;

  const Tokenizer& tokenizer_;
  const ModelConfig& config_;
  RoomRules rules_;
};

}  // namespace linnet
