// For tests: whether an instance matches a JSON schema, written for itself and without haste; and schemas by
// chance.
#pragma once

#include <algorithm>
#include <cmath>
#include <random>
#include <regex>
#include <string>

#include <nlohmann/json.hpp>

namespace linnet::testing {

using TestJson = nlohmann::ordered_json;

inline bool IsOfType(const TestJson& value, const std::string& type) {
  if (type == "integer") {
    return value.is_number() && std::floor(value.get<double>()) == value.get<double>();
  }
  if (type == "number") return value.is_number();
  return type == value.type_name();
}

inline size_t CodePoints(const std::string& text) {
  return static_cast<size_t>(std::ranges::count_if(text, [](char c) { return (c & 0xC0) != 0x80; }));
}

inline bool Matches(const TestJson& root, const TestJson& schema, const TestJson& value);

inline bool MatchesScalar(const TestJson& schema, const TestJson& value) {
  if (value.is_number()) {
    const double n = value.get<double>();
    if (schema.contains("minimum") && n < schema["minimum"].get<double>()) return false;
    if (schema.contains("maximum") && n > schema["maximum"].get<double>()) return false;
    if (schema.contains("exclusiveMinimum") && n <= schema["exclusiveMinimum"].get<double>()) return false;
    if (schema.contains("exclusiveMaximum") && n >= schema["exclusiveMaximum"].get<double>()) return false;
    if (schema.contains("multipleOf") && std::fmod(n, schema["multipleOf"].get<double>()) != 0) return false;
  }
  if (value.is_string()) {
    const std::string text = value.get<std::string>();
    if (CodePoints(text) < schema.value("minLength", size_t{0})) return false;
    if (CodePoints(text) > schema.value("maxLength", text.size())) return false;
    if (schema.contains("pattern") &&
        !std::regex_search(text, std::regex(schema["pattern"].get<std::string>()))) {
      return false;
    }
  }
  return true;
}

inline bool MatchesList(const TestJson& root, const TestJson& schema, const TestJson& value) {
  if (value.size() < schema.value("minItems", size_t{0}) ||
      value.size() > schema.value("maxItems", value.size())) {
    return false;
  }
  const TestJson prefix = schema.value("prefixItems", TestJson::array());
  const TestJson items = schema.value("items", TestJson(true));
  for (size_t i = 0; i < value.size(); ++i) {
    if (!Matches(root, i < prefix.size() ? prefix[i] : items, value[i])) return false;
  }
  return true;
}

inline bool MatchesMap(const TestJson& root, const TestJson& schema, const TestJson& value) {
  for (const TestJson& name : schema.value("required", TestJson::array())) {
    if (!value.contains(name.get<std::string>())) return false;
  }
  const TestJson properties = schema.value("properties", TestJson::object());
  const TestJson additional = schema.value("additionalProperties", TestJson(true));
  for (const auto& [name, item] : value.items()) {
    if (!Matches(root, properties.contains(name) ? properties[name] : additional, item)) return false;
  }
  return true;
}

inline bool Matches(const TestJson& root, const TestJson& schema, const TestJson& value) {
  if (schema.is_boolean()) return schema.get<bool>();
  const auto matches = [&](const TestJson& one) { return Matches(root, one, value); };
  if (schema.contains("$ref")) {
    const std::string to = schema["$ref"].get<std::string>();
    if (!matches(to == "#" ? root : root.at(TestJson::json_pointer(to.substr(1))))) return false;
  }
  if (schema.contains("type")) {
    const TestJson types = schema["type"].is_array() ? schema["type"] : TestJson::array({schema["type"]});
    const auto is = [&](const TestJson& type) { return IsOfType(value, type.get<std::string>()); };
    if (std::ranges::none_of(types, is)) return false;
  }
  if (schema.contains("const") && value != schema["const"]) return false;
  if (schema.contains("enum") && std::ranges::find(schema["enum"], value) == schema["enum"].end())
    return false;
  if (schema.contains("allOf") && !std::ranges::all_of(schema["allOf"], matches)) return false;
  if (schema.contains("anyOf") && std::ranges::none_of(schema["anyOf"], matches)) return false;
  if (schema.contains("oneOf") && std::ranges::count_if(schema["oneOf"], matches) != 1) return false;
  if (value.is_array()) return MatchesList(root, schema, value);
  if (value.is_object()) return MatchesMap(root, schema, value);
  return MatchesScalar(schema, value);
}

class RandomSchemas {
 public:
  // `free_keys`: maps may have others than those that are named. A call that repeats one is read, but not
  // complete.
  explicit RandomSchemas(uint32_t seed, bool free_keys = true) : rng_(seed), free_keys_(free_keys) {}

  size_t Below(size_t count) { return rng_() % count; }

  // Of the parameters of a tool.
  TestJson Object(int depth) {
    TestJson properties = TestJson::object(), required = TestJson::array();
    const char* names[] = {"city",  "n",       "When", "zone-2", "unit.name",
                           "größe", "the key", "2nd",  "a:b",    "list"};
    const size_t count = Below(5);
    for (size_t i = 0; i < count; ++i) {
      const std::string name = names[Below(std::size(names))];
      if (properties.contains(name)) continue;
      properties[name] = Any(depth - 1);
      if (Below(2) == 0) required.push_back(name);
    }
    TestJson schema = {{"type", "object"}, {"properties", properties}, {"required", required}};
    if (Below(3) == 0 || !free_keys_) schema["additionalProperties"] = false;
    if (Below(4) == 0 && free_keys_) schema["additionalProperties"] = {{"type", "integer"}};
    return schema;
  }

  TestJson Any(int depth) {
    switch (Below(depth > 0 ? 12 : 7)) {
      case 0:
        return {{"type", "string"}, {"maxLength", 1 + Below(12)}};
      case 1:
        return {{"type", "integer"}, {"minimum", -5}, {"maximum", static_cast<int>(Below(2000))}};
      case 2:
        return {{"enum", {"red", "blue, or not", "{x}", "", 7, 2.5, nullptr, true, {1, "a"}}}};
      case 3:
        return {{"type", "boolean"}};
      case 4:
        return {{"type", {"number", "null"}}};
      case 5:
        return {{"type", "string"}, {"pattern", "^[a-c]{2,4}(,[0-9]+)?$"}, {"maxLength", 9}};
      case 6:
        return {{"type", "number"}, {"exclusiveMinimum", 0.5}, {"maximum", 99}};
      case 7:
        return {{"type", "array"}, {"items", Any(depth - 1)}, {"minItems", Below(3)}, {"maxItems", 3}};
      case 8:
        return {{"anyOf", {Any(depth - 1), Any(depth - 1)}}};
      case 9:
        return {{"type", "array"},
                {"prefixItems", {Any(depth - 1), Any(0)}},
                {"items", Below(2) == 0 ? TestJson(false) : Any(0)},
                {"minItems", Below(3)},
                {"maxItems", 4}};
      case 10:
        return {{"allOf", {Object(depth - 1), {{"properties", {{"n", {{"type", "integer"}}}}}}}}};
      default:
        return Object(depth - 1);
    }
  }

 private:
  std::mt19937 rng_;
  bool free_keys_;
};

}  // namespace linnet::testing
