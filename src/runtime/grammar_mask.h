// One answer in its grammar: the thought before it, its drafts, and what may end it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "linnet/grammar.h"
#include "runtime/grammar_library.h"
#include "runtime/repetition.h"

namespace linnet {

// What the masks of a compiler share.
struct GrammarTokens {
  size_t words = 0;                               // of a mask
  int32_t channel_open = -1, channel_close = -1;  // of a thought
  int32_t quote = -1, call_close = -1;            // of tool calls
  int32_t results_wanted = -1;                    // the end behind calls: the model waits for their results
  std::vector<uint32_t> in_thought;               // what may stand in a thought, its end among it
};

struct LINNET_HIDDEN Grammar::Impl {
  std::shared_ptr<const GrammarTokens> tokens;
  std::shared_ptr<const TokenTrie> trie;
  GrammarState start;
  ValueNotation notation = ValueNotation::kText;
  std::vector<std::string> warnings;
};

std::unique_ptr<TokenMask> NewGrammarMask(std::shared_ptr<const Grammar::Impl> grammar);

}  // namespace linnet
