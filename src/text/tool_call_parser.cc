// Reads a tool call as a model wrote it, as far as it can be understood.
#include <algorithm>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "text/tool_syntax.h"
#include "text/utf8.h"

namespace linnet {
namespace {

using Json = nlohmann::ordered_json;

class ArgumentReader {
 public:
  explicit ArgumentReader(std::string_view text) : text_(text) {}

  bool complete() const { return complete_; }
  // Nothing but white space and superfluous closers is left.
  bool AtEnd() {
    SkipSpace();
    return at_ >= text_.size();
  }

  // The entries of a map whose `{` has been read, up to and with its `}`.
  Json Map(int depth) {
    Json map = Json::object();
    for (;;) {
      SkipSpace();
      if (Take("}")) return map;
      if (Take(",")) continue;
      if (at_ >= text_.size()) return Cut(map);
      const size_t before = at_;
      std::string key = Key();
      SkipSpace();
      if (Take(":") || Take("=")) {
        map[key] = Value(depth + 1);
      } else {
        complete_ = false;
        if (!key.empty()) map[key] = nullptr;  // a key alone
        if (at_ == before) ++at_;              // a closer of another kind: pass over it
      }
    }
  }

 private:
  bool Take(std::string_view token) {
    if (!text_.substr(at_).starts_with(token)) return false;
    at_ += token.size();
    return true;
  }
  void SkipSpace() {
    while (at_ < text_.size() &&
           (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t' || text_[at_] == '\r')) {
      ++at_;
    }
  }
  Json Cut(Json value) {
    complete_ = false;
    return value;
  }

  std::string Key() {
    if (Take(kToolQuote)) return Quoted(":");
    if (at_ < text_.size() && text_[at_] == '"') return JsonString();
    const size_t end = std::min(text_.find_first_of(":=,{}[]", at_), text_.size());
    const std::string_view key = Strip(text_.substr(at_, end - at_));
    at_ = end;
    return std::string(key);
  }

  Json Value(int depth) {
    SkipSpace();
    if (at_ >= text_.size()) return Cut(nullptr);
    if (Take(kToolQuote)) return Quoted(",}]");
    if (text_[at_] == '"') return JsonString();
    const bool too_deep = depth >= kMaxToolDepth;
    if (!too_deep && Take("{")) return Map(depth);
    if (!too_deep && Take("[")) return List(depth);
    return Bare(too_deep);
  }

  Json List(int depth) {
    Json list = Json::array();
    for (;;) {
      SkipSpace();
      if (Take("]")) return list;
      if (Take(",")) continue;
      if (at_ >= text_.size()) return Cut(list);
      if (text_[at_] == '}') return Cut(list);  // the map around it ends: the `]` is missing
      list.push_back(Value(depth + 1));
    }
  }

  // A string whose opening quote has been read. Nothing is escaped, so a quote followed by anything but one
  // of `after` or the end is part of the string.
  std::string Quoted(std::string_view after) {
    const size_t begin = at_;
    for (size_t quote = text_.find(kToolQuote, at_); quote != text_.npos;
         quote = text_.find(kToolQuote, quote + 1)) {
      at_ = quote + kToolQuote.size();
      SkipSpace();
      if (at_ >= text_.size() || after.find(text_[at_]) != after.npos) {
        return std::string(text_.substr(begin, quote - begin));
      }
    }
    complete_ = false;
    at_ = text_.size();
    std::string_view rest = text_.substr(begin);
    if (rest.ends_with('}')) rest.remove_suffix(1);  // the closing quote is missing, the map's end is not
    return std::string(rest);
  }

  // A string with JSON's quotes and escapes.
  std::string JsonString() {
    size_t end = at_ + 1;
    while (end < text_.size() && text_[end] != '"') end += text_[end] == '\\' ? 2 : 1;
    const std::string_view whole = text_.substr(at_, end < text_.size() ? end + 1 - at_ : text_.npos);
    at_ = std::min(end + 1, text_.size());
    const Json parsed = Json::parse(whole, nullptr, false);
    if (parsed.is_string()) return parsed.get<std::string>();
    complete_ = false;
    std::string_view raw = whole.substr(1);
    if (raw.ends_with('"')) raw.remove_suffix(1);
    return std::string(raw);
  }

  // A number, true, false, null, or a word without quotes. `whole`: brackets are ordinary characters, up to
  // the end.
  Json Bare(bool whole) {
    const size_t end = whole ? text_.size() : std::min(text_.find_first_of(",}]", at_), text_.size());
    const std::string_view word = Strip(text_.substr(at_, end - at_));
    at_ = end;
    if (word == "None") return nullptr;
    if (word == "True" || word == "False") return word == "True";
    const Json parsed = Json::parse(word, nullptr, false);
    if (!parsed.is_discarded() && parsed.is_primitive()) return parsed;
    complete_ = false;
    return std::string(word);
  }

  std::string_view text_;
  size_t at_ = 0;
  bool complete_ = true;
};

}  // namespace

ToolCall ParseToolCall(std::string_view text) {
  ToolCall call;
  text = Strip(text);
  if (text.starts_with("call:")) {
    text.remove_prefix(5);
  } else {
    call.complete = false;
  }
  const size_t brace = std::min(text.find('{'), text.size());
  call.name = std::string(Strip(text.substr(0, brace)));
  Json arguments = Json::object();
  if (brace < text.size()) {
    ArgumentReader reader(text.substr(brace + 1));
    arguments = reader.Map(1);
    call.complete = call.complete && reader.complete() && reader.AtEnd();
  } else {
    call.complete = false;
  }
  call.complete = call.complete && !call.name.empty();
  call.arguments = arguments.dump(-1, ' ', false, Json::error_handler_t::replace);
  return call;
}

}  // namespace linnet
