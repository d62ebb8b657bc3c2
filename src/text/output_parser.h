// Takes the model's output apart as it is generated: thought, tool calls, answer.
//
// A turn is [thought] {tool call} [text] end, but models leave closers out, repeat them, and stop in the
// middle; every sequence of tokens has a meaning here, and no text of the answer is lost.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "text/tokenizer.h"
#include "text/tool_call_stream.h"
#include "text/tool_syntax.h"

namespace linnet {

struct OutputEvent {
  enum class Kind { kThought, kText, kToolCall, kCallPart };
  Kind kind = Kind::kText;
  std::string text;  // of kThought, kText and kCallPart: what has become certain, never empty
  ToolCall call;     // of kToolCall; of kCallPart its name (linnet/turn.h: TurnEvent)
};

// Where a model turn stands.
enum class OutputSection { kText, kThought, kCall };

// The markers of a model turn.
enum class OutputMarker {
  kChannelOpen,    // <|channel>
  kChannelClose,   // <channel|>
  kCallOpen,       // <|tool_call>
  kCallClose,      // <tool_call|>
  kResponseOpen,   // <|tool_response>: the model waits for the results of its calls
  kResponseClose,  // <tool_response|>
  kQuote,          // <|"|>
};

// The grammar by itself, over text and markers. White space directly before and after a thought or a call
// belongs to neither and is dropped; elsewhere text stays as it is.
class OutputGrammar {
 public:
  // `inside_thought`: the prompt ended in an open thought.
  explicit OutputGrammar(bool inside_thought = false)
      : state_(inside_thought ? State::kThought : State::kText) {}

  void Text(std::string_view text, std::vector<OutputEvent>& events);
  void Marker(OutputMarker marker, std::vector<OutputEvent>& events);
  // The turn is over, wherever it stands: what was held back comes out. What follows is ignored. `cut`: not
  // the model ended it, so that its last word may not be whole.
  void Finish(std::vector<OutputEvent>& events, bool cut);

  bool finished() const { return finished_; }
  OutputSection section() const {
    return state_ == State::kText   ? OutputSection::kText
           : state_ == State::kCall ? OutputSection::kCall
                                    : OutputSection::kThought;
  }

 private:
  enum class State { kText, kChannelName, kThought, kCall };

  void Emit(OutputEvent::Kind kind, std::string_view text, std::vector<OutputEvent>& events);
  void EndChannelName(std::vector<OutputEvent>& events);
  void EndBlock(std::vector<OutputEvent>& events, bool cut = false);

  State state_;
  bool finished_ = false;
  bool after_block_ = false;  // text has not begun since the last thought or call
  std::string held_;          // white space that may turn out to stand before a marker
  std::string buffer_;        // a channel's name, or a call
  ToolCallStream call_;       // what was told of that call
};

// The same over token ids.
class OutputParser {
 public:
  explicit OutputParser(const Tokenizer& tokenizer, bool inside_thought = false);

  // Special tokens without a meaning inside a turn are passed over; `<turn|>`, `<eos>`, Gemma 3's
  // `<end_of_turn>` and
  // `<|tool_response>` end it.
  std::vector<OutputEvent> Push(int32_t id);
  // `cut`: the model did not end the turn itself.
  std::vector<OutputEvent> Finish(bool cut = true);
  bool finished() const { return grammar_.finished(); }
  OutputSection section() const { return grammar_.section(); }

 private:
  OutputGrammar grammar_;
  StreamDecoder decoder_;
  const Tokenizer& tokenizer_;
  std::unordered_map<int32_t, OutputMarker> markers_;
  std::vector<int32_t> ends_;
};

struct ParsedOutput {
  std::string thought, text;
  std::vector<ToolCall> calls;

  void Add(const OutputEvent& event);
};

// A whole output as text in which markers are spelled out.
ParsedOutput ParseOutput(std::string_view text, bool inside_thought = false);

// The model turn's inside that says the same: thought, calls, text.
std::string RenderOutput(const ParsedOutput& output);

}  // namespace linnet
