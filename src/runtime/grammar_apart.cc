// Which alternatives of a schema no instance can match two of.
#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "runtime/grammar_schema.h"

namespace linnet {
namespace {

constexpr int kMostSteps = 16;  // through references and properties

// A schema behind its references, as far as they lie in the document.
const SchemaJson& Behind(const SchemaJson& root, const SchemaJson& schema) {
  const SchemaJson* at = &schema;
  for (int step = 0; step < kMostSteps; ++step) {
    const SchemaJson* reference = Member(*at, "$ref");
    if (reference == nullptr) break;
    const Result<const SchemaJson*> found = Resolve(root, *reference, "#", {});
    if (!found) break;
    at = *found;
  }
  return *at;
}

// The only values that a schema takes, or null.
std::optional<SchemaJson> Values(const SchemaJson& schema) {
  if (const SchemaJson* value = Member(schema, "const")) return SchemaJson::array({*value});
  const SchemaJson* values = Member(schema, "enum");
  if (values == nullptr || !values->is_array()) return std::nullopt;
  return *values;
}

// The types of a schema's instances; empty: any. Whole numbers are numbers.
std::set<std::string> Types(const SchemaJson& schema) {
  std::set<std::string> types;
  const auto add = [&](const SchemaJson& type) {
    if (type.is_string()) types.insert(type == "integer" ? "number" : type.get<std::string>());
  };
  if (const SchemaJson* type = Member(schema, "type")) {
    if (!type->is_array()) add(*type);
    if (type->is_array()) std::ranges::for_each(*type, add);
  } else if (const auto values = Values(schema)) {
    for (const SchemaJson& value : *values) types.insert(value.type_name());
  }
  return types;
}

template <typename Set>
bool NothingCommon(const Set& a, const Set& b) {
  return std::ranges::none_of(a, [&](const auto& item) { return std::ranges::find(b, item) != b.end(); });
}

class Separation {
 public:
  explicit Separation(const SchemaJson& root) : root_(root) {}

  bool Apart(const SchemaJson& left, const SchemaJson& right, int steps) const {
    const SchemaJson &a = Behind(root_, left), &b = Behind(root_, right);
    if (a == false || b == false) return true;
    if (!a.is_object() || !b.is_object() || steps > kMostSteps) return false;
    const std::set<std::string> types = Types(a), others = Types(b);
    if (!types.empty() && !others.empty() && NothingCommon(types, others)) return true;
    const auto values = Values(a), other_values = Values(b);
    if (values && other_values && NothingCommon(*values, *other_values)) return true;
    if (types != std::set<std::string>{"object"} || others != types) return false;
    return std::ranges::any_of(Names(a), [&](const std::string& name) {
      return (Requires(a, name) || Requires(b, name)) && ApartIn(a, b, name, steps);
    });
  }

  // A property by which all alternatives differ, whether or not they require it.
  std::optional<std::string> Discriminator(const SchemaJson& alternatives) const {
    const SchemaJson& first = Behind(root_, alternatives[0]);
    for (const std::string& name : Names(first)) {
      if (AllPairs(alternatives,
                   [&](const SchemaJson& a, const SchemaJson& b) { return ApartIn(a, b, name, 0); })) {
        return name;
      }
    }
    return std::nullopt;
  }

  template <typename Test>
  bool AllPairs(const SchemaJson& alternatives, const Test& test) const {
    for (size_t i = 0; i < alternatives.size(); ++i) {
      for (size_t j = i + 1; j < alternatives.size(); ++j) {
        if (!test(Behind(root_, alternatives[i]), Behind(root_, alternatives[j]))) return false;
      }
    }
    return true;
  }

 private:
  static std::vector<std::string> Names(const SchemaJson& schema) {
    std::vector<std::string> names;
    const SchemaJson* properties = Member(schema, "properties");
    if (properties == nullptr || !properties->is_object()) return names;
    for (const auto& [name, value] : properties->items()) names.push_back(name);
    return names;
  }

  static bool Requires(const SchemaJson& schema, const std::string& name) {
    const SchemaJson* required = Member(schema, "required");
    return required != nullptr && required->is_array() &&
           std::ranges::find(*required, SchemaJson(name)) != required->end();
  }

  bool ApartIn(const SchemaJson& a, const SchemaJson& b, const std::string& name, int steps) const {
    if (Types(a) != std::set<std::string>{"object"} || Types(b) != Types(a)) return false;
    const SchemaJson *left = Member(a, "properties"), *right = Member(b, "properties");
    if (left == nullptr || right == nullptr) return false;
    left = Member(*left, name.c_str());
    right = Member(*right, name.c_str());
    return left != nullptr && right != nullptr && Apart(*left, *right, steps + 1);
  }

  const SchemaJson& root_;
};

}  // namespace

std::optional<SchemaJson> Apart(const SchemaJson& root, const SchemaJson& alternatives) {
  const Separation separation(root);
  if (alternatives.empty()) return std::nullopt;
  const auto apart = [&](const SchemaJson& a, const SchemaJson& b) { return separation.Apart(a, b, 0); };
  if (separation.AllPairs(alternatives, apart)) return alternatives;
  const std::optional<std::string> name = separation.Discriminator(alternatives);
  if (!name) return std::nullopt;
  SchemaJson narrowed = SchemaJson::array();
  for (const SchemaJson& alternative : alternatives) {
    narrowed.push_back(
        {{"allOf", SchemaJson::array({alternative, {{"required", SchemaJson::array({*name})}}})}});
  }
  return narrowed;
}

}  // namespace linnet
