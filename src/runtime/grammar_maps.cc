// The maps of grammar_values.h.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "runtime/grammar_regex.h"
#include "runtime/grammar_values.h"
#include "text/tool_arguments.h"
#include "text/tool_syntax.h"
#include "text/utf8.h"

namespace linnet {
namespace {

bool IsAnyValue(const SchemaJson& schema) { return schema == true || (schema.is_object() && schema.empty()); }

}  // namespace

Result<ToolValueGrammar::Expression> ToolValueGrammar::Map(const SimpleSchema& schema, int depth) {
  bool possible = true;
  LINNET_ASSIGN(const std::vector<Entry> entries, Entries(schema, depth, possible));
  if (!possible) return Expression();
  std::vector<std::string> names;
  size_t required = 0;
  if (const SchemaJson* properties = Member(schema.keywords, "properties")) {
    for (const auto& [name, value] : properties->items()) names.push_back(name);
  }
  for (const Entry& entry : entries) {
    if (entry.required) ++required;
    if (std::ranges::find(names, entry.name) == names.end()) names.push_back(entry.name);
  }
  LINNET_ASSIGN(const Expression others, Others(schema, names, depth));
  LINNET_TRY(CheckCounts(schema, required, entries.size(), others.has_value()));
  return Expression(Object(entries, others));
}

// The properties in the order of the model's training; `possible` is false where one is required that nothing
// matches.
Result<std::vector<ToolValueGrammar::Entry>> ToolValueGrammar::Entries(const SimpleSchema& schema, int depth,
                                                                       bool& possible) {
  const SchemaJson none = SchemaJson::object(), nobody = SchemaJson::array();
  const SchemaJson* given = Member(schema.keywords, "properties");
  const SchemaJson* wanted = Member(schema.keywords, "required");
  const SchemaJson& properties = given == nullptr ? none : *given;
  const SchemaJson& required = wanted == nullptr ? nobody : *wanted;
  if (!properties.is_object())
    return judge_.Wrong(Below(schema.pointer, "properties"), "is not a map of schemas");
  const bool names = required.is_array() &&
                     std::ranges::all_of(required, [](const SchemaJson& name) { return name.is_string(); });
  if (!names) return judge_.Wrong(Below(schema.pointer, "required"), "is not a list of names");

  std::vector<std::pair<std::string, SchemaJson>> all;
  for (const auto& [name, value] : properties.items()) all.emplace_back(name, value);
  const SchemaJson* additional = Member(schema.keywords, "additionalProperties");
  for (const SchemaJson& name : required) {
    const bool known = std::ranges::any_of(all, [&](const auto& entry) { return entry.first == name; });
    if (!known) all.emplace_back(name, additional == nullptr ? SchemaJson(true) : *additional);
  }
  std::ranges::stable_sort(all, {}, [](const auto& entry) { return ToLower(entry.first); });

  std::vector<Entry> entries;
  for (const auto& [name, value] : all) {
    const std::string pointer = Below(Below(schema.pointer, "properties"), name);
    const int below = IsAnyValue(value) ? FreeDepth(depth) : depth + 1;
    LINNET_ASSIGN(const Expression expression, Value(value, pointer, below));
    const bool must = std::ranges::find(required, SchemaJson(name)) != required.end();
    if (!expression && must) possible = false;
    if (!expression) continue;
    if (name.size() > kMaxToolWord) return judge_.Refuse(pointer, "has a name of more than 64 bytes");
    if (name.find(kToolQuote) != name.npos)
      return judge_.Refuse(pointer, "has the quote of calls in its name");
    entries.push_back({name, Key(name) + " " + *expression, must});
  }
  return entries;
}

// Properties that are not declared: where the schema says what they are, or declares none.
Result<ToolValueGrammar::Expression> ToolValueGrammar::Others(const SimpleSchema& schema,
                                                              const std::vector<std::string>& names,
                                                              int depth) {
  const SchemaJson* additional = Member(schema.keywords, "additionalProperties");
  if (additional == nullptr && !names.empty()) return Expression();
  const SchemaJson value = additional == nullptr ? SchemaJson(true) : *additional;
  const int below = IsAnyValue(value) ? FreeDepth(depth) : depth + 1;
  LINNET_ASSIGN(const Expression expression,
                Value(value, Below(schema.pointer, "additionalProperties"), below));
  if (!expression) return Expression();
  std::string key = "/[A-Za-z_][A-Za-z0-9_.\\-]{0,62}/";
  for (const std::string& name : names) key += " & ~" + LarkString(name);
  return Expression(fmt::format("{} \":\" {}", rules_.Lexeme(key), *expression));
}

// Numbers of properties are kept only where they follow from the rest.
Status ToolValueGrammar::CheckCounts(const SimpleSchema& schema, size_t required, size_t most, bool open) {
  if (CountOr(schema.keywords, "minProperties", 0) > static_cast<int64_t>(required)) {
    LINNET_TRY(judge_.Unkept(schema.pointer, "minProperties"));
  }
  const int64_t limit = CountOr(schema.keywords, "maxProperties", INT64_MAX);
  if (limit != INT64_MAX && (open || limit < static_cast<int64_t>(most))) {
    LINNET_TRY(judge_.Unkept(schema.pointer, "maxProperties"));
  }
  return {};
}

// Entries with commas between those that are there: from the last one forward, a rule for what may follow
// where nothing stands before it and one for what may follow where something does.
std::string ToolValueGrammar::Object(const std::vector<Entry>& entries, const Expression& others) {
  std::string first = others ? fmt::format("({0} (\",\" {0}){{0,63}})?", *others) : "\"\"";
  std::string rest = others ? fmt::format("(\",\" {}){{0,63}}", *others) : "\"\"";
  for (auto entry = entries.rbegin(); entry != entries.rend(); ++entry) {
    const std::string behind = rules_.Rule(rest);
    const std::string with = entry->expression + " " + behind;
    first = entry->required ? with : fmt::format("{} | {}", with, rules_.Rule(first));
    rest = entry->required ? fmt::format("\",\" {}", with) : fmt::format("\",\" {} | {}", with, behind);
  }
  return fmt::format("\"{{\" {} \"}}\"", rules_.Rule(first));
}

}  // namespace linnet
