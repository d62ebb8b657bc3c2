#include "server/fields.h"

#include <fmt/format.h>

#include <cmath>
#include <utility>

namespace linnet {
namespace {

// Deeper than any client needs, and not so deep that going through it takes the stack.
constexpr int kMostDepth = 128;
// An object is searched for each name that it gets, so reading it takes the square of their number.
constexpr size_t kMostNames = 1024;
// Each takes some 16 times the bytes that it has as text at least.
constexpr int64_t kMostValues = 2'000'000;

struct TooMuch {
  std::string what;
};

std::string Shown(const Json& value) {
  std::string text = Dump(value);
  constexpr size_t kMost = 60;
  return text.size() > kMost ? std::string(value.type_name()) : text;
}

}  // namespace

std::string Dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

Result<Json> ParseObject(std::string_view text) {
  Json json;
  int64_t values = 0;
  std::vector<size_t> names;  // of the objects that are open
  try {
    json = Json::parse(text, [&](int depth, Json::parse_event_t event, const Json&) {
      if (depth > kMostDepth) throw TooMuch{fmt::format("is nested more than {} deep", kMostDepth)};
      if (++values > kMostValues) throw TooMuch{fmt::format("is of more than {} values", kMostValues)};
      if (event == Json::parse_event_t::object_start) names.push_back(0);
      if (event == Json::parse_event_t::object_end) names.pop_back();
      if (event == Json::parse_event_t::key && ++names.back() > kMostNames) {
        throw TooMuch{fmt::format("has an object of more than {} names", kMostNames)};
      }
      return true;
    });
  } catch (const TooMuch& found) {
    return Fail(ErrorCode::kInvalidArgument, "the body " + found.what, "send something simpler");
  } catch (const Json::exception& error) {
    std::string what = error.what();  // "[json.exception.parse_error.101] parse error at line 1, column 2: …"
    if (const size_t begin = what.find("parse error"); begin != std::string::npos) what = what.substr(begin);
    return Fail(ErrorCode::kInvalidArgument, "the body is not JSON: " + what, "send a JSON object");
  }
  if (!json.is_object()) {
    return Fail(ErrorCode::kInvalidArgument, fmt::format("the body is a JSON {}", json.type_name()),
                "send a JSON object");
  }
  return json;
}

const Json& Fields::at(const char* name) const {
  static const Json kNull;
  if (!object_.is_object()) return kNull;
  const auto found = object_.find(name);
  return found == object_.end() ? kNull : *found;
}

std::string Fields::PathOf(const char* name) const { return where_.empty() ? name : where_ + "." + name; }

std::unexpected<Error> Fields::Wrong(const char* name, const std::string& what, std::string hint) const {
  return Fail(ErrorCode::kInvalidArgument, PathOf(name) + " " + what, std::move(hint));
}

Result<std::optional<std::string>> Fields::Text(const char* name) const {
  const Json& value = at(name);
  if (value.is_null()) return std::nullopt;
  if (!value.is_string()) return Wrong(name, "is " + Shown(value), "give a text");
  return value.get<std::string>();
}

Result<std::optional<bool>> Fields::Flag(const char* name) const {
  const Json& value = at(name);
  if (value.is_null()) return std::nullopt;
  if (!value.is_boolean()) return Wrong(name, "is " + Shown(value), "give true or false");
  return value.get<bool>();
}

Result<std::optional<double>> Fields::Number(const char* name, Range range) const {
  const Json& value = at(name);
  if (value.is_null()) return std::nullopt;
  const std::string hint = fmt::format("give a number from {} to {}", range.least, range.most);
  if (!value.is_number()) return Wrong(name, "is " + Shown(value), hint);
  const double number = value.get<double>();
  if (!(number >= range.least && number <= range.most)) return Wrong(name, "is " + Shown(value), hint);
  return number;
}

Result<std::optional<int64_t>> Fields::Integer(const char* name, Range range) const {
  LINNET_ASSIGN(const std::optional<double> number, Number(name, range));
  if (!number) return std::nullopt;
  const Json& value = at(name);
  if (value.is_number_integer()) return value.get<int64_t>();
  if (*number != std::floor(*number) || std::abs(*number) > 9e15) {
    return Wrong(name, "is " + Shown(value), "give a whole number");
  }
  return static_cast<int64_t>(*number);
}

Result<std::vector<std::string>> Fields::Texts(const char* name) const {
  const Json& value = at(name);
  std::vector<std::string> texts;
  if (value.is_null()) return texts;
  const auto wrong = [&] { return Wrong(name, "is " + Shown(value), "give a text or a list of texts"); };
  if (value.is_string()) {
    texts.push_back(value.get<std::string>());
  } else if (!value.is_array()) {
    return wrong();
  } else {
    for (const Json& item : value) {
      if (!item.is_string()) return wrong();
      texts.push_back(item.get<std::string>());
    }
  }
  return texts;
}

Result<const Json*> Fields::Object(const char* name) const {
  const Json& value = at(name);
  if (!value.is_null() && !value.is_object()) return Wrong(name, "is " + Shown(value), "give an object");
  return &value;
}

Result<const Json*> Fields::List(const char* name) const {
  const Json& value = at(name);
  if (!value.is_null() && !value.is_array()) return Wrong(name, "is " + Shown(value), "give a list");
  return &value;
}

}  // namespace linnet
