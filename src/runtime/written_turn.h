// Collects the tokens of an answer by the part that they belong to, so that history reads as the model wrote
// it.
#pragma once

#include <cstdint>
#include <vector>

#include "text/chat_format.h"
#include "text/output_parser.h"
#include "text/tokenizer.h"

namespace linnet {

class WrittenTurnRecorder {
 public:
  // `inside_thought`: the prompt ended in a thought that it had opened.
  WrittenTurnRecorder(const Tokenizer& tokenizer, bool inside_thought);

  // A token of the answer, and the sections before and after it.
  void Take(int32_t id, OutputSection before, OutputSection after);

  // The parts whose tokens say exactly what the answer says, in the chat format's order; the others are empty
  // and will be rendered anew: calls that were repaired or cut, a text that a stop text cut, a second
  // thought.
  WrittenTurn Finish(const ParsedOutput& answer) const;

 private:
  std::vector<int32_t> WithoutOuterSpace(std::vector<int32_t> ids) const;

  const Tokenizer& tokenizer_;
  WrittenTurn turn_;
  int thoughts_ = 0;
  int32_t call_open_marker_, call_close_, quote_;
  bool call_open_ = false;
  bool strange_ = false;  // a special token where a call has none
};

}  // namespace linnet
