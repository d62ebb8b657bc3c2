// Any texts in every field of a conversation: the only special tokens are the markers that the chat format
// writes, and nothing that the texts say is lost.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/check.h"
#include "byte_tokenizer.h"
#include "text/chat_format.h"
#include "text/tokenizer.h"
#include "text/utf8.h"

namespace {

using Json = nlohmann::ordered_json;

const linnet::Tokenizer& TestTokenizer() {
  static const auto tokenizer = linnet::ByteTokenizer(
      {"<bos>", "<eos>", "<|turn>", "<turn|>", "<|tool>", "<tool|>", "<|tool_call>", "<tool_call|>",
       "<|tool_response>", "<tool_response|>", "<|\"|>", "<|think|>", "<|channel>", "<channel|>", "<|image|>",
       "<|audio|>", "<|video|>"},
      {"  ", "\n\n"}, {"▁", "a", "<", ">", "|", "\n", "<|", "|>", "turn", "<|turn", "user", "model"});
  return *tokenizer;
}

// The input's fields, cut at zero bytes.
class Fields {
 public:
  explicit Fields(std::string_view rest) : rest_(rest) {}
  std::string Next() {
    const size_t end = std::min(rest_.find('\0'), rest_.size());
    std::string field(rest_.substr(0, end));
    rest_.remove_prefix(std::min(end + 1, rest_.size()));
    return field;
  }
  bool empty() const { return rest_.empty(); }

 private:
  std::string_view rest_;
};

Json MessageOf(Fields& fields) {
  const std::string kind = fields.Next();
  const char first = kind.empty() ? 'u' : kind[0];
  if (first == 's') return {{"role", "system"}, {"content", fields.Next()}};
  if (first == 't') return {{"role", "tool"}, {"name", fields.Next()}, {"content", fields.Next()}};
  if (first == 'r') return {{"role", fields.Next()}, {"content", fields.Next()}};
  if (first == 'a') {
    return {{"role", "assistant"},
            {"content", fields.Next()},
            {"reasoning", fields.Next()},
            {"tool_calls",
             {{{"id", "1"},
               {"function", {{"name", fields.Next()}, {"arguments", {{fields.Next(), fields.Next()}}}}}}}}};
  }
  return {
      {"role", "user"},
      {"content", {{{"type", "text"}, {"text", fields.Next()}}, {{"type", "image"}}, {{"type", "audio"}}}}};
}

// The vocabulary writes a space as U+2581, so one of a text reads back as a space.
std::string WithSpaces(std::string text) {
  constexpr std::string_view kSpace = "▁";
  for (size_t at = 0; (at = text.find(kSpace, at)) != std::string::npos;)
    text.replace(at, kSpace.size(), " ");
  return text;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1) return 0;
  Fields fields({reinterpret_cast<const char*>(data) + 1, size - 1});
  Json tools, messages = Json::array();
  if (data[0] & 1) {
    tools = Json{{{"function",
                   {{"name", fields.Next()},
                    {"description", fields.Next()},
                    {"parameters",
                     {{"type", "object"}, {"properties", {{fields.Next(), {{"type", fields.Next()}}}}}}}}}}};
  }
  while (!fields.empty() && messages.size() < 40) messages.push_back(MessageOf(fields));
  const linnet::ChatOptions options{.style = static_cast<linnet::ChatStyle>((data[0] >> 1) % 3),
                                    .generation = linnet::ChatOptions::Generation::kAlways,
                                    .enable_thinking = (data[0] & 8) != 0,
                                    .preserve_thinking = (data[0] & 16) != 0};
  const auto chat = linnet::RenderChat(messages, tools, options);
  if (!chat) return 0;
  const linnet::Tokenizer& tokenizer = TestTokenizer();
  size_t ours = 0;
  for (const linnet::Segment& segment : chat->text.segments()) {
    const std::string spelled = segment.kind == linnet::Segment::Kind::kMarker
                                    ? segment.text
                                    : std::string(PlaceSpelling(segment.kind));
    const auto id = tokenizer.TokenId(spelled);
    ours += !spelled.empty() && id && tokenizer.IsSpecial(*id);
  }
  const std::vector<int32_t> ids = tokenizer.EncodeSegments(chat->text.segments());
  size_t special = 0;
  for (const int32_t id : ids) special += tokenizer.IsSpecial(id);
  LINNET_CHECK(special == ours);
  const std::string text = WithSpaces(chat->text.Spelled());
  if (linnet::IsValidUtf8(text)) LINNET_CHECK(tokenizer.Decode(ids) == text);
  return 0;
}
