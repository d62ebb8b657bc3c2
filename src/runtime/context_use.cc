#include "runtime/context_use.h"

#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace linnet {
namespace {

bool IsMarker(const Segment& segment, std::string_view name) {
  return segment.kind == Segment::Kind::kMarker && segment.text == name;
}

// A message of the user begins here. Only the chat format writes markers.
bool BeginsUser(std::span<const Segment> rest) {
  const bool begins = IsMarker(rest[0], "<|turn>") || IsMarker(rest[0], "<start_of_turn>");
  return begins && rest.size() > 1 && rest[1].kind == Segment::Kind::kText &&
         rest[1].text.starts_with("user\n");
}

MarkedText TextOf(std::span<const Segment> segments) {
  MarkedText text;
  for (const Segment& segment : segments) {
    switch (segment.kind) {
      case Segment::Kind::kText:
        text.Text(segment.text);
        break;
      case Segment::Kind::kMarker:
        text.Marker(segment.text);
        break;
      case Segment::Kind::kTokens:
        text.Tokens(segment.ids);
        break;
      default:
        text.Medium(segment.kind);
        break;
    }
  }
  return text;
}

TokenUse Count(const Prompt& prompt) {
  TokenUse use;
  for (const TokenType type : prompt.types) {
    int64_t& count = type == TokenType::kText    ? use.text
                     : type == TokenType::kImage ? use.pictures
                     : type == TokenType::kVideo ? use.videos
                                                 : use.sounds;
    ++count;
  }
  return use;
}

// Declarations stand in a row at the end of the system turn.
std::pair<size_t, size_t> Declarations(std::span<const Segment> system) {
  size_t first = 0, last = 0;
  for (size_t i = 0; i < system.size(); ++i) {
    if (last == 0 && IsMarker(system[i], "<|tool>")) first = i, last = i + 1;
    if (IsMarker(system[i], "<tool|>")) last = i + 1;
  }
  return {first, last};
}

int64_t CallsIn(const ChatHistory& history, size_t begin, size_t end) {
  int64_t calls = 0;
  for (size_t m = begin; m < end; ++m) {
    const auto& json = history.messages()[m].json;
    if (const auto found = json.find("tool_calls"); found != json.end()) {
      calls += static_cast<int64_t>(found->size());
    }
  }
  return calls;
}

}  // namespace

MediaCount CountMedia(const ChatHistory& history, size_t begin, size_t end) {
  MediaCount count;
  for (const MediaInput& medium : history.MediaOf(begin, end)) {
    int64_t& kind = std::holds_alternative<ImageInput>(medium)   ? count.pictures
                    : std::holds_alternative<VideoInput>(medium) ? count.videos
                                                                 : count.sounds;
    ++kind;
  }
  return count;
}

UserMessage MessageAt(const ChatHistory& history, size_t message) {
  UserMessage asked;
  const ChatHistory::Message& found = history.messages()[message];
  const auto& content = found.json["content"];
  if (content.is_string()) {
    asked.text = content.get<std::string>();
  } else {
    for (const auto& part : content) {
      if (part["type"] == "text") asked.text += part["text"].get<std::string>();
    }
  }
  for (const MediaInput& medium : found.media) {
    const bool sound = std::holds_alternative<AudioInput>(medium);
    (sound ? asked.sounds : asked.pictures).push_back(MakeMedium(medium));
  }
  return asked;
}

Result<ContextUse> CountUse(const ChatHistory& history, const Tokenizer& tokenizer,
                            const ModelConfig& config) {
  LINNET_ASSIGN(const RenderedChat chat, history.RenderText(config, false));
  const std::span<const Segment> segments = chat.text.segments();
  std::vector<size_t> begins;  // of the messages of the user, in the text
  for (size_t i = 0; i < segments.size(); ++i) {
    if (BeginsUser(segments.subspan(i))) begins.push_back(i);
  }
  begins.push_back(segments.size());
  const auto count = [&](size_t begin, size_t end, const std::vector<MediaInput>& media) -> Result<TokenUse> {
    LINNET_ASSIGN(const Prompt prompt,
                  BuildPrompt(tokenizer, config, TextOf(segments.subspan(begin, end - begin)), media));
    return Count(prompt);
  };

  ContextUse use;
  const auto [tools, tools_end] = Declarations(segments.subspan(0, begins[0]));
  LINNET_ASSIGN(use.tools, count(tools, tools_end, {}));
  LINNET_ASSIGN(use.system, count(0, begins[0], {}));
  use.system.text -= use.tools.text;

  std::vector<size_t> turns = history.TurnBegins();
  turns.push_back(history.messages().size());
  // One more in the text is a summary; where roles must take turns it is part of the first.
  const size_t summaries = begins.size() > turns.size() ? 1 : 0;
  if (summaries > 0) {
    LINNET_ASSIGN(use.summary, count(begins[0], begins[1], {}));
  }
  for (size_t t = 0; t + 1 < turns.size(); ++t) {
    TurnUse turn{.asked = MessageAt(history, turns[t]).text,
                 .media = CountMedia(history, turns[t], turns[t + 1]),
                 .calls = CallsIn(history, turns[t], turns[t + 1])};
    LINNET_ASSIGN(turn.tokens, count(begins[t + summaries], begins[t + summaries + 1],
                                     history.MediaOf(turns[t], turns[t + 1])));
    use.turns.push_back(std::move(turn));
  }
  return use;
}

}  // namespace linnet
