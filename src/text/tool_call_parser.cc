// Reads the calls of a tool-call block as a model wrote them, as far as they can be understood.
#include <algorithm>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include <nlohmann/json.hpp>

#include "text/tool_arguments.h"
#include "text/tool_syntax.h"
#include "text/utf8.h"

namespace linnet {
namespace {

using Json = nlohmann::ordered_json;

// Markers whose beginning may be all that a cut left of them, where the output is text.
constexpr std::string_view kCutMarkers[] = {kToolQuote,   "<tool_call|>", "<|tool_call>", "<|tool_response>",
                                            "<|channel>", "<turn|>",      "<eos>"};

std::string_view WithoutCutMarker(std::string_view text) {
  const size_t at = text.rfind('<');
  if (at == text.npos) return text;
  const std::string_view end = text.substr(at);
  const bool cut = std::ranges::any_of(kCutMarkers, [&](std::string_view marker) {
    return marker.size() > end.size() && marker.starts_with(end);
  });
  return cut ? text.substr(0, at) : text;
}

std::string Dump(const Json& value) { return value.dump(-1, ' ', false, Json::error_handler_t::replace); }

const Json* Member(const Json& object, std::initializer_list<const char*> names) {
  if (!object.is_object()) return nullptr;
  for (const char* name : names) {
    if (const auto found = object.find(name); found != object.end()) return &*found;
  }
  return nullptr;
}

class BlockReader {
 public:
  BlockReader(std::string_view text, bool cut) : cut_(cut), reader_(text, cut), text_(text) {}

  ToolCallBlock Read() {
    while (!reader_.AtEnd()) {
      SkipBetween();
      if (reader_.AtEnd()) break;
      if (!Call() && !JsonCalls()) SkipText();
    }
    block_.rest = std::string(Strip(block_.rest));
    // One block holds one call and nothing else.
    const bool whole = block_.calls.size() == 1 && block_.rest.empty() && !extra_;
    for (ToolCall& call : block_.calls) call.complete = call.complete && whole;
    return std::move(block_);
  }

 private:
  // White space, and what may stand between two calls.
  void SkipBetween() {
    for (;;) {
      reader_.SkipSpace();
      const std::string_view rest = reader_.rest();
      if (rest.empty()) return;
      const bool separator = std::string_view(",;}])").find(rest[0]) != std::string_view::npos;
      const bool wraps =
          (rest[0] == '[' || rest[0] == '{' || rest[0] == '(') && reader_.CallBegins(reader_.at() + 1);
      if (!separator && !wraps) return;
      if (block_.calls.empty() && !wraps) return;
      extra_ = true;
      reader_.GoTo(reader_.at() + 1);
    }
  }

  // What is no call, up to where one begins.
  void SkipText() {
    size_t at = text_.find("call:", reader_.at() + 1);
    while (at != text_.npos && !reader_.CallBegins(at)) at = text_.find("call:", at + 1);
    const size_t end = std::min(at, text_.size());
    block_.rest += text_.substr(reader_.at(), end - reader_.at());
    reader_.GoTo(end);
  }

  // `call:`, which may be written otherwise. False if it is not there.
  bool Prefix() {
    if (reader_.Take("call:")) return true;
    const std::string_view rest = reader_.rest();
    if (rest.size() < 5 || ToUpperAscii(rest.substr(0, 4)) != "CALL") return false;
    const size_t after = std::min(rest.find_first_not_of(" \t\n", 4), rest.size());
    const bool colon = after < rest.size() && rest[after] == ':';
    if (!colon && (after == 4 || !Opens(rest.substr(after)))) return false;
    reader_.GoTo(reader_.at() + after + (colon ? 1 : 0));
    reader_.Repair();
    return true;
  }

  // A name and an opening bracket stand at the front.
  static bool Opens(std::string_view text) {
    const size_t name = ToolNameLength(text);
    return name > 0 && name < text.size() && (text[name] == '{' || text[name] == '(');
  }

  // A name in quotes or without, of several words if a bracket follows them.
  std::string Name(bool prefixed) {
    for (const std::string_view quote :
         {kToolQuote, std::string_view("\""), std::string_view("'"), std::string_view("`")}) {
      const std::string_view rest = reader_.rest();
      if (!rest.starts_with(quote)) continue;
      const size_t length = ToolNameLength(rest.substr(quote.size()));
      if (length == 0 || !rest.substr(quote.size() + length).starts_with(quote)) return "";
      reader_.Repair();
      reader_.GoTo(reader_.at() + length + 2 * quote.size());
      return std::string(rest.substr(quote.size(), length));
    }
    const std::string_view rest = reader_.rest();
    size_t length = ToolNameLength(rest);
    if (prefixed && length > 0) {
      size_t end = length;
      while (end < rest.size() && end < kMaxToolWord && (rest[end] == ' ' || IsToolNameCharacter(rest[end])))
        ++end;
      if (end < rest.size() && (rest[end] == '{' || rest[end] == '(')) length = end;
    }
    const std::string_view name = Strip(rest.substr(0, length));
    if (name.size() < length || name.find(' ') != name.npos) reader_.Repair();
    reader_.GoTo(reader_.at() + length);
    return std::string(name);
  }

  // A call in the model's notation, or what was meant to be one. False, and nothing read, if there is none.
  bool Call() {
    const size_t begin = reader_.at();
    reader_.ClearRepaired();
    bool prefixed = false;
    while (Prefix()) {
      if (std::exchange(prefixed, true)) reader_.Repair();
      if (!reader_.rest().empty() && Strip(reader_.rest().substr(0, 1)).empty()) reader_.Repair();
      reader_.SkipSpace();
    }
    if (!prefixed) reader_.Repair();
    const std::string name = Name(prefixed);
    const size_t name_end = reader_.at();
    reader_.SkipSpace();
    const std::string_view rest = reader_.rest();
    const bool opens = rest.starts_with('{') || (rest.starts_with('(') && reader_.at() == name_end);
    if (name.empty() || (!prefixed && !opens)) {
      reader_.GoTo(begin);
      return false;
    }
    if (reader_.at() > name_end) reader_.Repair();
    const Json arguments = Arguments();
    block_.calls.push_back({name, Dump(arguments), !reader_.repaired()});
    return true;
  }

  Json Arguments() {
    if (reader_.Take("{")) return reader_.Map(1, '}');
    reader_.Repair();
    if (reader_.Take(":") || reader_.Take("=")) reader_.SkipSpace();
    if (reader_.Take("{")) return reader_.Map(1, '}');
    for (const auto& [open, close] : {std::pair("(", ')'), std::pair("[", ']')}) {
      if (!reader_.Take(open)) continue;
      reader_.SkipSpace();
      if (!reader_.Take("{")) return reader_.Map(1, close);
      Json arguments = reader_.Map(1, '}');
      reader_.SkipSpace();
      reader_.Take(std::string_view(&close, 1));
      return arguments;
    }
    return reader_.LooksLikeEntry() ? reader_.Map(1, '\0') : Json::object();
  }

  // A call, or a list of them, as JSON: {"name": …, "arguments": {…}}.
  bool JsonCalls() {
    const size_t begin = reader_.at();
    if (!reader_.rest().starts_with('{') && !reader_.rest().starts_with('[')) return false;
    const Json value = reader_.Value(0);
    const size_t calls = block_.calls.size();
    AddJson(value);
    if (block_.calls.size() > calls) return true;
    reader_.GoTo(begin);
    return false;
  }

  void AddJson(const Json& value) {
    if (value.is_array()) {
      for (const Json& item : value) AddJson(item);
      return;
    }
    if (const Json* inner = Member(value, {"tool_calls", "tool_call", "function_call", "function"});
        inner != nullptr && inner->is_structured()) {
      return AddJson(*inner);
    }
    const Json* name = Member(value, {"name", "function", "tool", "tool_name"});
    const Json* arguments = Member(value, {"arguments", "parameters", "args", "input"});
    if (name == nullptr || !name->is_string() || name->get_ref<const std::string&>().empty()) return;
    if (arguments == nullptr) return;
    if (arguments->is_object()) {
      block_.calls.push_back({name->get<std::string>(), Dump(*arguments), false});
    } else if (arguments->is_string()) {  // the arguments' JSON text
      const std::string& text = arguments->get_ref<const std::string&>();
      ArgumentReader reader(text, cut_);
      reader.SkipSpace();
      reader.Take("{");
      block_.calls.push_back({name->get<std::string>(), Dump(reader.Map(1, '}')), false});
    } else {
      block_.calls.push_back({name->get<std::string>(), "{}", false});
    }
  }

  bool cut_;
  ArgumentReader reader_;
  std::string_view text_;
  ToolCallBlock block_;
  bool extra_ = false;  // something stood between or around the calls
};

}  // namespace

ToolCallBlock ParseToolCalls(std::string_view text, bool cut) {
  if (cut) {
    text = text.substr(0, CompletePrefix(text));
    text = WithoutCutMarker(text);
  }
  return BlockReader(Strip(text), cut).Read();
}

}  // namespace linnet
