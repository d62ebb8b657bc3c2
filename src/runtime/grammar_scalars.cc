// The texts, numbers and enumerations of grammar_values.h.
#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "base/utf8.h"
#include "runtime/grammar_regex.h"
#include "runtime/grammar_values.h"
#include "text/tool_syntax.h"

namespace linnet {
namespace {

// Whole numbers up to here are exact in every program that reads JSON.
constexpr int64_t kLargestWhole = 999'999'999'999'999;

constexpr std::string_view kWhole = "/-?(?:0|[1-9][0-9]{0,14})/";
constexpr std::string_view kNumber =
    "/-?(?:0|[1-9][0-9]{0,14})(?:\\.[0-9]{1,16})?(?:[eE][+\\-]?[0-9]{1,2})?/";
// Expressions that the whole text must match.
std::string_view PatternOf(std::string_view format) {
#define DATE                                                                                           \
  "(?:[0-9]{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)" \
  "|02-(?:0[1-9]|1[0-9]|2[0-8]))"                                                                      \
  "|(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)-02-29)"
#define TIME \
  "(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\\.[0-9]{1,9})?(?:Z|[+\\-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
#define LABEL "[A-Za-z0-9](?:[A-Za-z0-9\\-]{0,61}[A-Za-z0-9])?"
#define BYTE "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
  constexpr std::pair<std::string_view, std::string_view> kPatterns[] = {
      {"date", DATE},
      {"time", TIME},
      {"date-time", DATE "T" TIME},
      {"duration",
       "P(?:[0-9]{1,9}W|(?:[0-9]{1,9}Y)?(?:[0-9]{1,9}M)?[0-9]{1,9}D|[0-9]{1,9}Y|"
       "T(?:[0-9]{1,9}H)?(?:[0-9]{1,9}M)?[0-9]{1,9}S|T[0-9]{1,9}H|T[0-9]{1,9}M)"},
      {"email", "[A-Za-z0-9_+\\-]{1,32}(?:\\.[A-Za-z0-9_+\\-]{1,32}){0,3}@" LABEL "(?:\\." LABEL "){1,4}"},
      {"hostname", LABEL "(?:\\." LABEL "){0,2}"},
      {"ipv4", BYTE "(?:\\." BYTE "){3}"},
      {"ipv6", "[0-9a-fA-F]{1,4}(?::[0-9a-fA-F]{1,4}){7}"},
      {"uuid", "[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"},
      {"uri", "[A-Za-z][A-Za-z0-9+.\\-]{1,15}:(?:[A-Za-z0-9._~!$&'()*+,;=:@/?\\-]|%[0-9A-Fa-f]{2}){1,2000}"},
  };
#undef DATE
#undef TIME
#undef LABEL
#undef BYTE
  const auto found =
      std::ranges::find(kPatterns, format, &std::pair<std::string_view, std::string_view>::first);
  return found == std::end(kPatterns) ? std::string_view() : found->second;
}

std::string TypeOf(const SchemaJson& value) {
  return value.is_number_integer() ? "integer" : value.is_number() ? "number" : value.type_name();
}

bool Allows(const std::vector<std::string>& types, const SchemaJson& value) {
  const std::string type = TypeOf(value);
  const bool whole = value.is_number_float() && std::floor(value.get<double>()) == value.get<double>();
  return std::ranges::any_of(types, [&](const std::string& allowed) {
    return allowed == type || (allowed == "number" && value.is_number()) || (allowed == "integer" && whole);
  });
}

size_t Characters(std::string_view text) {
  return static_cast<size_t>(std::ranges::count_if(text, [](char c) { return (c & 0xC0) != 0x80; }));
}

// Whether a keyword beside an enumeration holds for one of its values; nothing where that is not known here.
std::optional<bool> Holds(const std::string& keyword, const SchemaJson& limit, const SchemaJson& value) {
  const bool text =
      keyword == "minLength" || keyword == "maxLength" || keyword == "pattern" || keyword == "format";
  const bool number = keyword.find("imum") != keyword.npos || keyword == "multipleOf";
  if ((text && !value.is_string()) || (number && !value.is_number())) return true;
  if (!text && !number) return value.is_structured() ? std::nullopt : std::optional(true);
  if (!limit.is_number() || keyword == "multipleOf") return std::nullopt;
  if (keyword == "minLength" || keyword == "maxLength") {
    const double length = static_cast<double>(Characters(value.get_ref<const std::string&>()));
    return keyword == "minLength" ? length >= limit.get<double>() : length <= limit.get<double>();
  }
  const double n = value.get<double>(), edge = limit.get<double>();
  if (keyword == "minimum") return n >= edge;
  if (keyword == "maximum") return n <= edge;
  return keyword == "exclusiveMinimum" ? n > edge : n < edge;
}

// Whether a constant can be written and read back as it is.
bool Writable(const SchemaJson& value) {
  if (value.is_string()) return value.get_ref<const std::string&>().find(kToolQuote) == std::string::npos;
  if (value.is_number_float()) return std::isfinite(value.get<double>());
  if (!value.is_structured()) return true;
  if (value.is_object() && value.contains("")) return false;
  return std::ranges::all_of(value, Writable);
}

}  // namespace

std::vector<std::string> TypesOf(const SchemaJson& schema) {
  const SchemaJson* type = Member(schema, "type");
  if (type != nullptr && type->is_string()) return {type->get<std::string>()};
  if (type != nullptr && type->is_array()) {
    std::vector<std::string> types;
    for (const SchemaJson& one : *type)
      types.push_back(one.is_string() ? one.get<std::string>() : one.dump());
    return types;
  }
  std::set<std::string> spoken_of;
  for (const auto& [keyword, value] : schema.items()) {
    for (const auto& [part, of] : {std::pair("ropert", "object"),
                                   {"required", "object"},
                                   {"tems", "array"},
                                   {"Length", "string"},
                                   {"pattern", "string"},
                                   {"format", "string"},
                                   {"imum", "number"},
                                   {"multipleOf", "number"}}) {
      if (keyword.find(part) != keyword.npos) spoken_of.insert(of);
    }
  }
  if (!spoken_of.empty() && !schema.contains("enum")) return {spoken_of.begin(), spoken_of.end()};
  return {"string", "number", "boolean", "null", "array", "object"};
}

Result<ToolValueGrammar::Expression> ToolValueGrammar::Enumeration(const SimpleSchema& schema,
                                                                   const std::vector<std::string>& types) {
  const SchemaJson& values = schema.keywords["enum"];
  if (!values.is_array()) return judge_.Wrong(Below(schema.pointer, "enum"), "is not a list");
  std::string text;
  for (const SchemaJson& value : values) {
    if (!Allows(types, value)) continue;
    if (DeeperThan(value, 16))
      return judge_.Refuse(Below(schema.pointer, "enum"), "has a value of more than 16 levels");
    bool holds = true;
    for (const auto& [keyword, limit] : schema.keywords.items()) {
      if (keyword == "enum" || keyword == "type") continue;
      const std::optional<bool> known = Holds(keyword, limit, value);
      if (!known) LINNET_TRY(judge_.Unkept(schema.pointer, keyword, "beside an enumeration"));
      holds = holds && known.value_or(true);
    }
    if (!holds || !Writable(value)) continue;
    text += (text.empty() ? "" : " | ") + Constant(value);
  }
  return text.empty() ? Expression() : Expression(rules_.Rule(text));
}

Result<ToolValueGrammar::Expression> ToolValueGrammar::String(const SimpleSchema& schema) {
  const int64_t least = CountOr(schema.keywords, "minLength", 0);
  const int64_t most = CountOr(schema.keywords, "maxLength", -1);
  if (most >= 0 && least > most) return Expression();
  std::string lexeme =
      fmt::format("/(?s:.{{{},{}}})/", std::max<int64_t>(least, 1), most < 0 ? "" : std::to_string(most));
  bool patterned = false;
  if (const SchemaJson* pattern = Member(schema.keywords, "pattern")) {
    if (!pattern->is_string()) return judge_.Wrong(Below(schema.pointer, "pattern"), "is no text");
    const Result<std::string> regex =
        WholeRegex(pattern->get_ref<const std::string&>(), RegexMatch::kAnywhere);
    if (regex) {
      lexeme += " & " + LarkRegex(*regex);
      patterned = true;
    } else {
      LINNET_TRY(judge_.Unkept(schema.pointer, "pattern", "(" + regex.error().what + ")"));
    }
  }
  if (const SchemaJson* format = Member(schema.keywords, "format")) {
    const std::string name = format->is_string() ? format->get<std::string>() : format->dump();
    const std::string_view pattern = PatternOf(name);
    if (!pattern.empty()) {
      lexeme += " & " + LarkRegex(pattern);
      patterned = true;
    } else {
      LINNET_TRY(judge_.Unkept(schema.pointer, "format", fmt::format("of '{}'", name)));
    }
  }
  if (most == 0) return Expression(fmt::format("{0} {0}", quote_));
  const std::string body = rules_.Lexeme(lexeme);
  // An empty text is no lexeme. With a pattern the texts have at least one character.
  const std::string inside = least == 0 && !patterned ? body + "?" : body;
  return Expression(rules_.Rule(fmt::format("{0} {1} {0}", quote_, inside)));
}

Result<ToolValueGrammar::Expression> ToolValueGrammar::Number(const SimpleSchema& schema, bool whole) {
  SchemaJson bounds = {{"type", whole ? "integer" : "number"}};
  for (const char* name : {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}) {
    const SchemaJson* value = Member(schema.keywords, name);
    if (value != nullptr && value->is_boolean())
      return judge_.Refuse(Below(schema.pointer, name), "is true or false, as in draft 4");
    if (value != nullptr && !value->is_number())
      return judge_.Wrong(Below(schema.pointer, name), "is no number");
    if (value != nullptr) bounds[name] = *value;
  }
  if (bounds.size() == 1) return Expression(rules_.Lexeme(std::string(whole ? kWhole : kNumber)));
  if (!bounds.contains("minimum") && !bounds.contains("exclusiveMinimum")) bounds["minimum"] = -kLargestWhole;
  if (!bounds.contains("maximum") && !bounds.contains("exclusiveMaximum")) bounds["maximum"] = kLargestWhole;
  const auto edge = [&](const char* name, const char* exclusive, bool lowest) {
    const double a = bounds.value(name, lowest ? -INFINITY : INFINITY);
    const double b = bounds.value(exclusive, a);
    return lowest ? std::max(a, b) : std::min(a, b);
  };
  const double least = edge("minimum", "exclusiveMinimum", true),
               most = edge("maximum", "exclusiveMaximum", false);
  if (least > most || (whole && std::ceil(least) > std::floor(most))) return Expression();
  return Expression(rules_.Rule("%json " + bounds.dump()));
}

}  // namespace linnet
