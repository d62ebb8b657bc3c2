#include "io/json.h"

#include <string>
#include <unordered_set>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/utf8.h"

namespace linnet {
namespace {

// Counted before parsing, so that hostile nesting costs nothing.
int Depth(std::string_view text) {
  int depth = 0;
  int deepest = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') {
        ++i;
      } else if (c == '"') {
        in_string = false;
      }
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      if (++depth > deepest) deepest = depth;
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  return deepest;
}

}  // namespace

Result<nlohmann::json> ParseJson(std::string_view text, std::string_view name) {
  if (const std::string_view encoding = OtherEncoding(text); !encoding.empty()) {
    return Fail(ErrorCode::kBadFile, fmt::format("{}: is a text in {}, and JSON is UTF-8", name, encoding),
                "save it as UTF-8");
  }
  const int depth = Depth(text);
  if (depth > kMaxJsonDepth) {
    return Fail(ErrorCode::kBadFile, fmt::format("{}: JSON nested {} levels deep", name, depth),
                fmt::format("at most {} are accepted", kMaxJsonDepth));
  }
  std::vector<std::unordered_set<std::string>> keys;  // of the objects that are open
  std::string duplicate;
  const auto watch = [&](int, nlohmann::json::parse_event_t event, nlohmann::json& value) {
    if (event == nlohmann::json::parse_event_t::object_start) {
      keys.emplace_back();
    } else if (event == nlohmann::json::parse_event_t::object_end) {
      keys.pop_back();
    } else if (event == nlohmann::json::parse_event_t::key && duplicate.empty()) {
      const auto& key = value.get_ref<const std::string&>();
      if (!keys.back().insert(key).second) duplicate = key;
    }
    return true;
  };
  try {
    nlohmann::json value = nlohmann::json::parse(text, watch);
    if (!duplicate.empty()) {
      return Fail(ErrorCode::kBadFile,
                  fmt::format("{}: the key \"{}\" occurs twice in an object", name, duplicate),
                  "remove one of them");
    }
    return value;
  } catch (const nlohmann::json::exception& e) {
    std::string_view what = e.what();
    if (const size_t end = what.find("] "); end != what.npos) what.remove_prefix(end + 2);
    return Fail(ErrorCode::kBadFile, fmt::format("{}: not valid JSON: {}", name, what),
                "the file is damaged or of another kind");
  }
}

Result<nlohmann::json> ParseJson(std::span<const uint8_t> text, std::string_view name) {
  return ParseJson(std::string_view(reinterpret_cast<const char*>(text.data()), text.size()), name);
}

const nlohmann::json& JsonMember(const nlohmann::json& object, const char* name) {
  static const nlohmann::json kNull;
  if (!object.is_object()) return kNull;
  const auto found = object.find(name);
  return found == object.end() ? kNull : *found;
}

}  // namespace linnet
