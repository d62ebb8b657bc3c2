#include "runtime/written_turn.h"

#include <algorithm>
#include <utility>

#include "text/utf8.h"

namespace linnet {

WrittenTurnRecorder::WrittenTurnRecorder(const Tokenizer& tokenizer, bool inside_thought)
    : tokenizer_(tokenizer),
      thoughts_(inside_thought ? 1 : 0),
      call_open_marker_(tokenizer.TokenId("<|tool_call>").value_or(-1)),
      call_close_(tokenizer.TokenId("<tool_call|>").value_or(-1)),
      quote_(tokenizer.TokenId(kToolQuote).value_or(-1)) {
  if (inside_thought)
    turn_.thought = tokenizer.EncodeOrdinary("thought\n");  // the prompt's, as chat_format writes it
}

void WrittenTurnRecorder::Take(int32_t id, OutputSection before, OutputSection after) {
  if (before != OutputSection::kThought && after == OutputSection::kThought) ++thoughts_;
  if (before == OutputSection::kCall || after == OutputSection::kCall) {
    turn_.calls.push_back(id);
    call_open_ = after == OutputSection::kCall;
    // What else can stand in a call or end it would be read as something else in history.
    const bool closes = before == OutputSection::kCall && after != OutputSection::kCall;
    const bool expected = id == quote_ || (closes ? id == call_close_ : id == call_open_marker_);
    if (tokenizer_.IsSpecial(id) && !expected) strange_ = true;
    return;
  }
  if (tokenizer_.IsSpecial(id)) return;
  (after == OutputSection::kThought ? turn_.thought : turn_.text).push_back(id);
}

std::vector<int32_t> WrittenTurnRecorder::WithoutOuterSpace(std::vector<int32_t> ids) const {
  const auto is_space = [&](int32_t id) { return Strip(tokenizer_.Decode({id})).empty(); };
  const auto begin = std::ranges::find_if_not(ids, is_space);
  ids.erase(ids.begin(), begin);
  while (!ids.empty() && is_space(ids.back())) ids.pop_back();
  return ids;
}

WrittenTurn WrittenTurnRecorder::Finish(const ParsedOutput& answer) const {
  WrittenTurn turn = turn_;
  if (tokenizer_.Decode(turn.text) != answer.text) turn.text = WithoutOuterSpace(std::move(turn.text));
  if (tokenizer_.Decode(turn.text) != answer.text) turn.text.clear();
  if (thoughts_ > 1 || answer.thought.empty()) turn.thought.clear();
  if (call_open_ || strange_ || answer.calls.empty() ||
      !std::ranges::all_of(answer.calls, &ToolCall::complete)) {
    turn.calls.clear();
  }
  return turn;
}

}  // namespace linnet
