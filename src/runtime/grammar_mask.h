// One answer in its grammar: the thought before it, its drafts, and what may end it.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "base/side_thread.h"
#include "linnet/grammar.h"
#include "runtime/grammar_library.h"
#include "runtime/repetition.h"
#include "text/tool_syntax.h"

namespace linnet {

// What the masks of a compiler share.
struct GrammarTokens {
  size_t words = 0;                               // of a mask
  int32_t channel_open = -1, channel_close = -1;  // of a thought
  int32_t quote = -1, call_close = -1;            // of tool calls
  std::vector<int32_t> ends;                      // of an answer
  int32_t results_wanted = -1;                    // the end behind calls: the model waits for their results
  // Ordinary tokens that would spell the quote token out behind its first 0 to 4 bytes, which would end a
  // text of a call.
  std::array<std::vector<int32_t>, 5> spell_quote;
  std::vector<uint32_t> in_thought;  // what may stand in a thought, its end among it
};

// How much of the quote token a text has spelled out behind these bytes; all of it where it has done so.
size_t SpelledQuote(size_t spelled, std::string_view bytes);

struct LINNET_HIDDEN Grammar::Impl {
  std::shared_ptr<const GrammarTokens> tokens;
  std::shared_ptr<const TokenTrie> trie;
  std::shared_ptr<SideThread> side;  // computes masks while the engine computes
  GrammarState start;
  ValueNotation notation = ValueNotation::kText;
  std::vector<std::string> warnings;
};

std::unique_ptr<TokenMask> NewGrammarMask(std::shared_ptr<const Grammar::Impl> grammar);

}  // namespace linnet
