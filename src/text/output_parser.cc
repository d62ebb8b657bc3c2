#include "text/output_parser.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "text/utf8.h"

namespace linnet {
namespace {

constexpr std::pair<std::string_view, OutputMarker> kMarkers[] = {
    {"<|channel>", OutputMarker::kChannelOpen},
    {"<channel|>", OutputMarker::kChannelClose},
    {"<|tool_call>", OutputMarker::kCallOpen},
    {"<tool_call|>", OutputMarker::kCallClose},
    {"<|tool_response>", OutputMarker::kResponseOpen},
    {"<tool_response|>", OutputMarker::kResponseClose},
    {kToolQuote, OutputMarker::kQuote},
};
constexpr std::string_view kEnds[] = {"<turn|>", "<eos>", "<end_of_turn>"};

// A channel's name is one word ("thought"); longer lines are taken for the thought itself.
constexpr size_t kMaxChannelName = 32;

bool IsNameCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

}  // namespace

void OutputGrammar::Emit(OutputEvent::Kind kind, std::string_view text, std::vector<OutputEvent>& events) {
  if (after_block_) {
    const std::string_view stripped = Strip(text);
    if (stripped.empty()) return;
    text.remove_prefix(static_cast<size_t>(stripped.data() - text.data()));
    after_block_ = false;
  }
  const std::string_view stripped = Strip(text);
  if (stripped.empty()) {
    held_ += text;
    return;
  }
  const size_t end = static_cast<size_t>(stripped.data() + stripped.size() - text.data());
  OutputEvent event{.kind = kind, .text = std::exchange(held_, std::string(text.substr(end)))};
  event.text += text.substr(0, end);
  events.push_back(std::move(event));
}

void OutputGrammar::Text(std::string_view text, std::vector<OutputEvent>& events) {
  if (finished_ || text.empty()) return;
  switch (state_) {
    case State::kText:
      return Emit(OutputEvent::Kind::kText, text, events);
    case State::kThought:
      return Emit(OutputEvent::Kind::kThought, text, events);
    case State::kCall:
      buffer_ += text;
      if (std::string part = call_.Push(buffer_); !part.empty()) {
        events.push_back(
            {.kind = OutputEvent::Kind::kCallPart, .text = std::move(part), .call = {call_.name(), {}}});
      }
      return;
    case State::kChannelName:
      buffer_ += text;
      if (buffer_.size() > kMaxChannelName || !std::ranges::all_of(buffer_, IsNameCharacter))
        EndChannelName(events);
      return;
  }
}

// The name is a word and a line break, or "thought" and anything else; otherwise all of it is thought.
void OutputGrammar::EndChannelName(std::vector<OutputEvent>& events) {
  state_ = State::kThought;
  const std::string line = std::exchange(buffer_, {});
  const std::string_view name(line.begin(), std::ranges::find_if_not(line, IsNameCharacter));
  const std::string_view after = std::string_view(line).substr(name.size());
  const bool named =
      name == "thought" || (name.size() <= kMaxChannelName && (after.empty() || after[0] == '\n'));
  const std::string_view rest =
      named ? after.substr(after.starts_with('\n') ? 1 : 0) : std::string_view(line);
  if (!rest.empty()) Emit(OutputEvent::Kind::kThought, rest, events);
}

// Ends a thought or a call, whether or not its closer has come.
void OutputGrammar::EndBlock(std::vector<OutputEvent>& events, bool cut) {
  if (state_ == State::kChannelName) EndChannelName(events);
  if (state_ == State::kCall) {
    const std::string raw = std::exchange(buffer_, {});
    ToolCallBlock block = ParseToolCalls(raw, cut);
    if (block.calls.empty()) block.rest = Strip(raw).empty() ? "" : raw;  // no call at all
    const ToolCallStream told = std::exchange(call_, {});
    if (told.begun()) block.calls.front() = told.Whole(std::move(block.calls.front()));
    for (ToolCall& call : block.calls) {
      events.push_back({.kind = OutputEvent::Kind::kToolCall, .call = std::move(call)});
    }
    if (!block.rest.empty())
      events.push_back({.kind = OutputEvent::Kind::kText, .text = std::move(block.rest)});
  }
  held_.clear();
  after_block_ = true;
  state_ = State::kText;
}

void OutputGrammar::Marker(OutputMarker marker, std::vector<OutputEvent>& events) {
  if (finished_) return;
  switch (marker) {
    case OutputMarker::kChannelOpen:
      // Inside a thought it only repeats what is open; its name is read again.
      if (state_ != State::kThought && state_ != State::kChannelName) EndBlock(events);
      if (state_ == State::kChannelName) EndChannelName(events);
      state_ = State::kChannelName;
      return;
    case OutputMarker::kCallOpen:
      EndBlock(events);
      state_ = State::kCall;
      return;
    case OutputMarker::kChannelClose:
      // A stray one in the answer is dropped; in a call it ends nothing.
      if (state_ == State::kThought || state_ == State::kChannelName) EndBlock(events);
      return;
    case OutputMarker::kCallClose:
      if (state_ == State::kCall) EndBlock(events);
      return;
    case OutputMarker::kResponseOpen:
      return Finish(events, false);
    case OutputMarker::kResponseClose:
      return;
    case OutputMarker::kQuote:
      return Text(state_ == State::kCall ? kToolQuote : "\"", events);
  }
}

void OutputGrammar::Finish(std::vector<OutputEvent>& events, bool cut) {
  if (finished_) return;
  if (state_ == State::kText) {
    if (!held_.empty())
      events.push_back({.kind = OutputEvent::Kind::kText, .text = std::exchange(held_, {})});
  } else {
    EndBlock(events, cut);
  }
  finished_ = true;
}

OutputParser::OutputParser(const Tokenizer& tokenizer, bool inside_thought)
    : grammar_(inside_thought), decoder_(tokenizer, true), tokenizer_(tokenizer) {
  for (const auto& [text, marker] : kMarkers) {
    if (const std::optional<int32_t> id = tokenizer.TokenId(text)) markers_.emplace(*id, marker);
  }
  for (const std::string_view text : kEnds) {
    if (const std::optional<int32_t> id = tokenizer.TokenId(text)) ends_.push_back(*id);
  }
}

std::vector<OutputEvent> OutputParser::Push(int32_t id) {
  std::vector<OutputEvent> events;
  if (std::ranges::find(ends_, id) != ends_.end()) return Finish(false);
  const auto marker = markers_.find(id);
  if (marker == markers_.end()) {
    grammar_.Text(decoder_.Push(id), events);
  } else {
    grammar_.Text(decoder_.Finish(), events);
    grammar_.Marker(marker->second, events);
  }
  return events;
}

std::vector<OutputEvent> OutputParser::Finish(bool cut) {
  std::vector<OutputEvent> events;
  grammar_.Text(decoder_.Finish(), events);
  grammar_.Finish(events, cut);
  return events;
}

void ParsedOutput::Add(const OutputEvent& event) {
  switch (event.kind) {
    case OutputEvent::Kind::kThought:
      thought += event.text;
      return;
    case OutputEvent::Kind::kText:
      text += event.text;
      return;
    case OutputEvent::Kind::kToolCall:
      calls.push_back(event.call);
      return;
    case OutputEvent::Kind::kCallPart:
      return;
  }
}

ParsedOutput ParseOutput(std::string_view text, bool inside_thought) {
  OutputGrammar grammar(inside_thought);
  std::vector<OutputEvent> events;
  size_t begin = 0;  // of text not yet given to the grammar
  for (size_t at = text.find('<'); at < text.size(); at = text.find('<', std::max(begin, at + 1))) {
    const std::string_view rest = text.substr(at);
    const auto starts = [&](const auto& marker) { return rest.starts_with(marker.first); };
    const bool end =
        std::ranges::any_of(kEnds, [&](std::string_view name) { return rest.starts_with(name); });
    const auto marker = std::ranges::find_if(kMarkers, starts);
    if (marker == std::end(kMarkers) && !end) continue;
    grammar.Text(text.substr(begin, at - begin), events);
    begin = text.size();
    if (end) {
      grammar.Finish(events, false);
      break;
    }
    begin = at + marker->first.size();
    grammar.Marker(marker->second, events);
  }
  grammar.Text(text.substr(begin), events);
  grammar.Finish(events, true);
  ParsedOutput output;
  for (const OutputEvent& event : events) output.Add(event);
  return output;
}

std::string RenderOutput(const ParsedOutput& output) {
  std::string text;
  if (!output.thought.empty()) text += fmt::format("<|channel>thought\n{}\n<channel|>", output.thought);
  for (const ToolCall& call : output.calls) {
    const auto arguments = nlohmann::ordered_json::parse(call.arguments, nullptr, false);
    if (DeeperThan(arguments, kMaxToolDepth)) continue;
    text += fmt::format("<|tool_call>{}<tool_call|>", RenderToolCall(call.name, arguments).Spelled());
  }
  return text + output.text;
}

}  // namespace linnet
