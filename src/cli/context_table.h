// How a chat tells what its context holds and what went.
#pragma once

#include <string>

#include "linnet/context.h"
#include "linnet/conversation.h"
#include "linnet/turn.h"

namespace linnet {

// "1 turn", "3 turns".
std::string Counted(int64_t count, const std::string& thing);
// The beginning of a text in one line, in quotes.
std::string Quoted(const std::string& text);

// A row for each part and turn, a column for each kind of tokens that there is.
std::string ContextTable(const ContextUse& use);

// What went, in a line, and the summary that stays instead.
std::string ShiftText(const ContextShift& shift);

// What share of its prompt an answer did not have to read.
std::string ReusedText(const GenerateStats& stats);

}  // namespace linnet
