#include "runtime/grammar_values.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "runtime/grammar_regex.h"
#include "text/tool_arguments.h"
#include "text/tool_syntax.h"
#include "text/utf8.h"

namespace linnet {
namespace {

// Maps and lists in each other: fewer than the reader of calls takes.
constexpr int kMostValueDepth = 32;
constexpr size_t kMostRuleBytes = size_t{4} << 20;

}  // namespace

int64_t CountOr(const SchemaJson& schema, const char* name, int64_t otherwise) {
  const SchemaJson* value = Member(schema, name);
  if (value == nullptr || !value->is_number()) return otherwise;
  constexpr double kMost = 1e18;  // more than any value has, and a whole number here
  return static_cast<int64_t>(std::clamp(value->get<double>(), -kMost, kMost));
}

int FreeDepth(int depth) {
  constexpr int kMostFreeDepth = 6;
  return std::max(depth + 1, kMostValueDepth - kMostFreeDepth);
}

std::string LarkRules::Named(std::string_view prefix, const std::string& body) {
  std::string& name = names_[std::string(prefix) + body];
  if (name.empty()) {
    name = fmt::format("{}{}", prefix, names_.size());
    text_ += fmt::format("{}: {}\n", name, body);
  }
  return name;
}

Result<ToolValueGrammar::Expression> ToolValueGrammar::Arguments(const SchemaJson& schema) {
  LINNET_ASSIGN(std::vector<SimpleSchema> simples, alternatives_.Of(schema, "#"));
  std::string text;
  for (SimpleSchema& simple : simples) {
    const std::vector<std::string> types = TypesOf(simple.keywords);
    if (std::ranges::find(types, "object") == types.end()) continue;
    simple.keywords["type"] = "object";
    LINNET_ASSIGN(const Expression one, Simple(simple, 1));
    if (one) text += (text.empty() ? "" : " | ") + *one;
  }
  if (text.empty()) return Expression();
  return Expression(rules_.Rule(text));
}

Result<ToolValueGrammar::Expression> ToolValueGrammar::Value(const SchemaJson& schema,
                                                             const std::string& pointer, int depth) {
  const std::string key = fmt::format("{} {}", depth, schema.dump());
  if (const auto known = known_.find(key); known != known_.end()) return known->second;
  if (rules_.text().size() > kMostRuleBytes) return judge_.Refuse(pointer, "makes the grammar too large");
  LINNET_ASSIGN(const std::vector<SimpleSchema> simples, alternatives_.Of(schema, pointer));
  std::string text;
  for (const SimpleSchema& simple : simples) {
    LINNET_ASSIGN(const Expression one, Simple(simple, depth));
    if (one) text += (text.empty() ? "" : " | ") + *one;
  }
  const Expression value = text.empty() ? Expression() : Expression(rules_.Rule(text));
  known_[key] = value;
  return value;
}

Result<ToolValueGrammar::Expression> ToolValueGrammar::Simple(const SimpleSchema& schema, int depth) {
  for (const auto& [keyword, value] : schema.keywords.items()) {
    if (!IsUnkept(keyword) && keyword != "patternProperties" && keyword != "additionalItems") continue;
    // What others ask for depends on keywords beside them, which may have come from another schema.
    const bool alone = keyword == "not" || keyword == "uniqueItems" || keyword.starts_with("dep");
    if (alone && AsksNothing(schema.keywords, keyword, value)) continue;
    LINNET_TRY(judge_.Unkept(schema.pointer, keyword));
  }
  const std::vector<std::string> types = TypesOf(schema.keywords);
  if (schema.keywords.contains("enum")) return Enumeration(schema, types);
  std::string text;
  for (const std::string& type : types) {
    LINNET_ASSIGN(const Expression one, OfType(type, schema, depth));
    if (one) text += (text.empty() ? "" : " | ") + *one;
  }
  return text.empty() ? Expression() : Expression(rules_.Rule(text));
}

Result<ToolValueGrammar::Expression> ToolValueGrammar::OfType(const std::string& type,
                                                              const SimpleSchema& schema, int depth) {
  if (type == "null") return Expression("\"null\"");
  if (type == "boolean") return Expression("\"true\" | \"false\"");
  if (type == "string") return String(schema);
  if (type == "integer" || type == "number") return Number(schema, type == "integer");
  if (depth > kMostValueDepth) return Expression();
  if (type == "array") return List(schema, depth);
  if (type == "object") return Map(schema, depth);
  return judge_.Wrong(schema.pointer, fmt::format("has the type '{}', which there is not", type));
}

std::string ToolValueGrammar::Constant(const SchemaJson& value) const {
  if (value.is_string()) {
    const std::string& text = value.get_ref<const std::string&>();
    return text.empty() ? fmt::format("{0} {0}", quote_)
                        : fmt::format("{0} {1} {0}", quote_, LarkString(text));
  }
  if (!value.is_structured()) return LarkString(RenderToolValue(value, false).Spelled());
  std::string text;
  if (value.is_array()) {
    for (const SchemaJson& item : value) text += (text.empty() ? " " : " \",\" ") + Constant(item);
    return "\"[\"" + text + " \"]\"";
  }
  std::vector<std::pair<std::string, std::string>> entries;
  for (const auto& [name, item] : value.items()) entries.emplace_back(name, Key(name) + " " + Constant(item));
  std::ranges::stable_sort(entries, {}, [](const auto& entry) { return ToLower(entry.first); });
  for (const auto& [name, entry] : entries) text += (text.empty() ? " " : " \",\" ") + entry;
  return "\"{\"" + text + " \"}\"";
}

// The key with its colon. One that would be read as something else stands in quotes.
std::string ToolValueGrammar::Key(const std::string& name) const {
  const bool bare = !name.empty() && name.size() < kMaxToolWord && !IsDigit(name[0]) &&
                    std::ranges::all_of(name, IsToolNameCharacter);
  if (bare) return LarkString(name + ":");
  if (name.empty()) return fmt::format("{0} {0} \":\"", quote_);
  return fmt::format("{0} {1} {0} \":\"", quote_, LarkString(name));
}

Result<ToolValueGrammar::Expression> ToolValueGrammar::List(const SimpleSchema& schema, int depth) {
  const SchemaJson* given = Member(schema.keywords, "items");
  const SchemaJson* first = Member(schema.keywords, "prefixItems");
  if (given != nullptr && given->is_array()) std::swap(first, given);  // as drafts before 2020-12 write it
  const SchemaJson items = given == nullptr ? SchemaJson(true) : *given;
  for (const char* name : {"minItems", "maxItems"}) {
    const SchemaJson* count = Member(schema.keywords, name);
    if (count != nullptr && !count->is_number_integer()) {
      return judge_.Wrong(schema.pointer, "has a number of items that is not whole");
    }
  }
  const int below = items == true ? FreeDepth(depth) : depth + 1;
  LINNET_ASSIGN(const Expression rest, Value(items, Below(schema.pointer, "items"), below));
  const int64_t min = CountOr(schema.keywords, "minItems", 0);
  int64_t max = CountOr(schema.keywords, "maxItems", -1);
  std::string text;
  int64_t count = 0;
  std::string closing;  // of items that need not be there
  for (; first != nullptr && count < std::ssize(*first) && (max < 0 || count < max); ++count) {
    const std::string pointer = Below(Below(schema.pointer, "prefixItems"), std::to_string(count));
    LINNET_ASSIGN(const Expression item, Value((*first)[static_cast<size_t>(count)], pointer, depth + 1));
    if (!item && count < min) return Expression();
    if (!item) {
      max = count;
      break;
    }
    const std::string piece = (count == 0 ? " " : " \",\" ") + *item;
    text += count < min ? piece : " (" + piece;
    if (count >= min) closing += " )?";
  }
  if ((!rest && min > count) || (max >= 0 && min > max)) return Expression();
  if (rest && max != count) {
    const int64_t needed = std::max<int64_t>(min - count, 0);
    const std::string upper = max < 0 ? "" : std::to_string(max - count - (count == 0 ? 1 : 0));
    if (count > 0) {
      text += fmt::format(" (\",\" {}){{{},{}}}", *rest, needed, upper);
    } else {
      const std::string more =
          upper == "0" ? ""
                       : fmt::format(" (\",\" {}){{{},{}}}", *rest, std::max<int64_t>(needed - 1, 0), upper);
      text += needed == 0 ? fmt::format(" ({}{})?", *rest, more) : fmt::format(" {}{}", *rest, more);
    }
  }
  return Expression(rules_.Rule("\"[\"" + text + closing + " \"]\""));
}

}  // namespace linnet
