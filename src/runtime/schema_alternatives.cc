#include "runtime/schema_alternatives.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace linnet {
namespace {

constexpr size_t kMostAlternatives = 512;
constexpr std::string_view kCombinations[] = {"$ref", "allOf", "anyOf", "oneOf"};
constexpr std::string_view kLowest[] = {"minimum", "exclusiveMinimum", "minLength", "minItems",
                                        "minProperties"};
constexpr std::string_view kHighest[] = {"maximum", "exclusiveMaximum", "maxLength", "maxItems",
                                         "maxProperties"};
constexpr std::string_view kNotes[] = {"title",
                                       "description",
                                       "default",
                                       "examples",
                                       "$comment",
                                       "readOnly",
                                       "writeOnly",
                                       "$defs",
                                       "definitions",
                                       "$schema",
                                       "$id",
                                       "id",
                                       "$anchor",
                                       "deprecated",
                                       "nullable",
                                       "contentEncoding",
                                       "contentMediaType",
                                       "contentSchema",
                                       "discriminator",
                                       "x-guidance",
                                       "$dynamicAnchor"};

bool Listed(auto& names, std::string_view name) { return std::ranges::find(names, name) != std::end(names); }

SchemaJson AllOf(const SchemaJson& left, const SchemaJson& right) {
  if (left == right) return left;
  return {{"allOf", SchemaJson::array({left, right})}};
}

SchemaJson AsList(const SchemaJson& value) { return value.is_array() ? value : SchemaJson::array({value}); }

// The types that are in both lists; whole numbers are numbers.
SchemaJson CommonTypes(const SchemaJson& left, const SchemaJson& right) {
  SchemaJson common = SchemaJson::array();
  const auto add = [&](const SchemaJson& type) {
    if (std::ranges::find(common, type) == common.end()) common.push_back(type);
  };
  for (const SchemaJson& a : AsList(left)) {
    for (const SchemaJson& b : AsList(right)) {
      if (a == b) add(a);
      if ((a == "integer" && b == "number") || (a == "number" && b == "integer")) add("integer");
    }
  }
  return common;
}

const SchemaJson* Property(const SchemaJson& schema, const std::string& name) {
  const SchemaJson* properties = Member(schema, "properties");
  return properties == nullptr ? nullptr : Member(*properties, name.c_str());
}

// The properties of two objects, each also as what the other says of those it does not name.
SchemaJson CommonProperties(const SchemaJson& left, const SchemaJson& right) {
  SchemaJson common = SchemaJson::object();
  const auto add = [&](const SchemaJson& from, const SchemaJson& other) {
    const SchemaJson* properties = Member(from, "properties");
    if (properties == nullptr || !properties->is_object()) return;
    for (const auto& [name, value] : properties->items()) {
      if (common.contains(name)) continue;
      const SchemaJson* others = Property(other, name);
      if (others == nullptr) others = Member(other, "additionalProperties");
      common[name] = others == nullptr ? value : AllOf(value, *others);
    }
  };
  add(left, right);
  add(right, left);
  return common;
}

}  // namespace

Result<std::vector<SimpleSchema>> SchemaAlternatives::Of(const SchemaJson& schema, const std::string& pointer,
                                                         int steps) {
  if (schema == false) return Simples{};
  if (schema == true) return Simples{{.pointer = pointer}};
  if (!schema.is_object()) return judge_.Wrong(pointer, "is neither an object nor true or false");
  if (steps > kMaxSchemaDepth)
    return judge_.Refuse(pointer, "refers to itself, or combines schemas too deeply");
  SimpleSchema own{.pointer = pointer};
  for (const auto& [keyword, value] : schema.items()) {
    if (Listed(kCombinations, keyword) || Listed(kNotes, keyword)) continue;
    if (keyword == "const") {
      LINNET_TRY(Merge("enum", SchemaJson::array({value}), own));
    } else {
      LINNET_TRY(Merge(keyword, value, own));
    }
  }
  Simples all = {std::move(own)};
  if (const SchemaJson* reference = Member(schema, "$ref")) {
    LINNET_ASSIGN(const SchemaJson* found, Resolve(root_, *reference, Below(pointer, "$ref"), judge_));
    LINNET_ASSIGN(const Simples others, Of(*found, reference->get<std::string>(), steps + 1));
    LINNET_ASSIGN(all, Both(all, others, pointer));
  }
  for (const char* keyword : {"allOf", "anyOf", "oneOf"}) {
    const SchemaJson* list = Member(schema, keyword);
    if (list == nullptr) continue;
    const std::string below = Below(pointer, keyword);
    if (!list->is_array() || list->empty()) return judge_.Wrong(below, "is not a list of schemas");
    if (std::string_view(keyword) == "allOf") {
      for (size_t i = 0; i < list->size(); ++i) {
        LINNET_ASSIGN(const Simples others, Of((*list)[i], Below(below, std::to_string(i)), steps + 1));
        LINNET_ASSIGN(all, Both(all, others, pointer));
      }
      continue;
    }
    const bool any = std::string_view(keyword) == "anyOf";
    LINNET_ASSIGN(const Simples others, any ? Any(*list, below, steps) : OneOf(*list, pointer, steps));
    LINNET_ASSIGN(all, Both(all, others, pointer));
  }
  return all;
}

Result<std::vector<SimpleSchema>> SchemaAlternatives::Any(const SchemaJson& list, const std::string& pointer,
                                                          int steps) {
  Simples all;
  for (size_t i = 0; i < list.size(); ++i) {
    LINNET_ASSIGN(Simples some, Of(list[i], Below(pointer, std::to_string(i)), steps + 1));
    std::ranges::move(some, std::back_inserter(all));
    if (all.size() > kMostAlternatives) return judge_.Refuse(pointer, "has too many alternatives");
  }
  return all;
}

Result<std::vector<SimpleSchema>> SchemaAlternatives::OneOf(const SchemaJson& list,
                                                            const std::string& pointer, int steps) {
  const std::optional<SchemaJson> apart = linnet::Apart(root_, list);
  if (!apart) LINNET_TRY(judge_.Unkept(pointer, "oneOf", "whose alternatives overlap"));
  return Any(apart ? *apart : list, Below(pointer, "oneOf"), steps);
}

Result<std::vector<SimpleSchema>> SchemaAlternatives::Both(const Simples& left, const Simples& right,
                                                           const std::string& pointer) {
  if (left.size() * right.size() > kMostAlternatives)
    return judge_.Refuse(pointer, "has too many alternatives");
  Simples all;
  for (const SimpleSchema& a : left) {
    for (const SimpleSchema& b : right) {
      LINNET_ASSIGN(std::optional<SimpleSchema> both, Both(a, b));
      if (both) all.push_back(std::move(*both));
    }
  }
  return all;
}

Result<std::optional<SimpleSchema>> SchemaAlternatives::Both(const SimpleSchema& left,
                                                             const SimpleSchema& right) {
  SimpleSchema both = left;
  if (left.keywords.empty()) both.pointer = right.pointer;
  if (left.keywords.contains("properties") || right.keywords.contains("properties")) {
    both.keywords["properties"] = CommonProperties(left.keywords, right.keywords);
  }
  for (const auto& [keyword, value] : right.keywords.items()) {
    if (keyword != "properties") LINNET_TRY(Merge(keyword, value, both));
  }
  for (const char* keyword : {"type", "enum"}) {
    const SchemaJson* left_over = Member(both.keywords, keyword);
    if (left_over != nullptr && left_over->is_array() && left_over->empty()) return std::nullopt;
  }
  return both;
}

Status SchemaAlternatives::Merge(const std::string& keyword, const SchemaJson& value, SimpleSchema& into) {
  SchemaJson& keywords = into.keywords;
  const SchemaJson* has = Member(keywords, keyword.c_str());
  if (has == nullptr || *has == value) {
    keywords[keyword] = value;
    return {};
  }
  SchemaJson merged;
  if (keyword == "type") {
    merged = CommonTypes(*has, value);
  } else if (keyword == "enum") {
    merged = SchemaJson::array();
    std::ranges::copy_if(AsList(*has), std::back_inserter(merged), [&](const SchemaJson& item) {
      const SchemaJson list = AsList(value);
      return std::ranges::find(list, item) != list.end();
    });
  } else if (keyword == "required") {
    merged = AsList(*has);
    for (const SchemaJson& name : AsList(value)) {
      if (std::ranges::find(merged, name) == merged.end()) merged.push_back(name);
    }
  } else if (Listed(kLowest, keyword) && has->is_number() && value.is_number()) {
    merged = *has < value ? value : *has;
  } else if (Listed(kHighest, keyword) && has->is_number() && value.is_number()) {
    merged = *has < value ? *has : value;
  } else if (keyword == "items" || keyword == "additionalProperties") {
    merged = AllOf(*has, value);
  } else {
    return judge_.Unkept(into.pointer, keyword, "given twice in a combination");
  }
  keywords[keyword] = std::move(merged);
  return {};
}

}  // namespace linnet
