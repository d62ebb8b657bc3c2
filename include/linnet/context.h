// Who takes how much of a conversation's context, and what went when it was full.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace linnet {

// Tokens by what they stand for. Those of a medium are its soft tokens: its markers are text.
struct TokenUse {
  int64_t text = 0, pictures = 0, videos = 0, sounds = 0;

  int64_t total() const { return text + pictures + videos + sounds; }
};

struct MediaCount {
  int64_t pictures = 0, videos = 0, sounds = 0;
};

// A message of the user with all that came of it: calls, their results, answers.
struct TurnUse {
  std::string asked;  // its text
  MediaCount media;
  int64_t calls = 0;  // of tools
  TokenUse tokens;
};

struct ContextUse {
  int64_t context = 0;      // tokens that there is room for
  int64_t answer_room = 0;  // of them, for the answer, before a context counts as full
  TokenUse system;          // the system message, and what begins every prompt
  TokenUse tools;           // their declarations
  TokenUse summary;         // of turns that are gone
  std::vector<TurnUse> turns;
  TokenUse next;  // the message that was asked about

  int64_t taken() const {
    int64_t tokens = system.total() + tools.total() + summary.total() + next.total();
    for (const TurnUse& turn : turns) tokens += turn.tokens.total();
    return tokens;
  }
};

// What went so that an answer has room. What stays is read again where it must be: the answer is that of a
// conversation in which nothing else was said.
struct ContextShift {
  int64_t turns = 0;  // whole turns, the oldest
  int64_t tokens = 0;
  MediaCount media;
  std::string summary;     // what the model wrote instead, WhenFull::kSummarise
  std::string no_summary;  // why there is none where one was wanted
  int64_t kept = 0;        // turns that stay, with the one to answer
  int64_t free = 0;        // tokens, for the answer and what comes
};

}  // namespace linnet
