#include "runtime/grammar_schema.h"

#include <algorithm>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "base/hex.h"

namespace linnet {
namespace {

constexpr std::string_view kMaps[] = {"properties", "patternProperties"};
constexpr std::string_view kLists[] = {"allOf", "anyOf", "oneOf", "prefixItems"};
constexpr std::string_view kSingle[] = {"items", "additionalItems", "additionalProperties"};
constexpr std::string_view kUnkept[] = {"not",
                                        "if",
                                        "contains",
                                        "uniqueItems",
                                        "propertyNames",
                                        "dependentRequired",
                                        "dependentSchemas",
                                        "dependencies",
                                        "unevaluatedProperties",
                                        "unevaluatedItems",
                                        "$dynamicRef",
                                        "$recursiveRef"};
// They say nothing about an instance, or nothing without another keyword.
constexpr std::string_view kSilent[] = {"then",          "else",           "minContains",   "maxContains",
                                        "deprecated",    "nullable",       "discriminator", "$vocabulary",
                                        "contentSchema", "$dynamicAnchor", "x-guidance"};
constexpr std::string_view kFormats[] = {"date-time", "time", "date", "duration", "email",  "hostname",
                                         "ipv4",      "ipv6", "uuid", "uri",      "unknown"};

bool IsOneOf(auto& names, std::string_view name) { return std::ranges::find(names, name) != std::end(names); }

class Preparer {
 public:
  Preparer(const SchemaJson& root, SchemaJudge& judge) : root_(root), judge_(judge) {}

  Result<SchemaJson> Schema(const SchemaJson& schema, const std::string& pointer, int depth) {
    if (schema.is_boolean()) return schema;
    if (!schema.is_object()) return judge_.Wrong(pointer, "is neither an object nor true or false");
    if (depth > kMaxSchemaDepth)
      return judge_.Refuse(pointer, fmt::format("lies deeper than {} schemas", kMaxSchemaDepth));
    SchemaJson prepared = SchemaJson::object();
    for (const auto& [keyword, value] : schema.items()) {
      const std::string below = Below(pointer, keyword);
      if (IsOneOf(kSilent, keyword)) continue;
      if (IsUnkept(keyword)) {
        if (!AsksNothing(schema, keyword, value)) LINNET_TRY(judge_.Unkept(pointer, keyword));
        continue;
      }
      if (keyword == "format" && value.is_string() &&
          !IsOneOf(kFormats, value.get_ref<const std::string&>())) {
        LINNET_TRY(judge_.Unkept(pointer, keyword, fmt::format("of '{}'", value.get<std::string>())));
        continue;
      }
      if (keyword == "$ref") LINNET_TRY(Reference(value, below, depth));
      LINNET_ASSIGN(SchemaJson kept, Keyword(keyword, value, below, depth));
      if (keyword == "oneOf" && value.is_array()) {
        LINNET_TRY(OneOf(std::move(kept), schema, pointer, prepared));
        continue;
      }
      prepared[keyword] = std::move(kept);
    }
    return prepared;
  }

  // The definitions that were referred to, prepared as well.
  Status Definitions(SchemaJson& prepared) {
    for (const char* name : {"$defs", "definitions"}) {
      const SchemaJson* definitions = Member(root_, name);
      if (definitions == nullptr || !definitions->is_object()) continue;
      SchemaJson kept = SchemaJson::object();
      for (const auto& [key, value] : definitions->items()) {
        const std::string pointer = Below(Below("#", name), key);
        if (!seen_.contains(pointer)) {
          kept[key] = value;
          continue;
        }
        LINNET_ASSIGN(kept[key], Schema(value, pointer, 1));
      }
      prepared[name] = std::move(kept);
    }
    return {};
  }

 private:
  // What stands behind a reference is looked at once.
  Status Reference(const SchemaJson& value, const std::string& pointer, int depth) {
    if (!value.is_string()) return judge_.Wrong(pointer, "is no text");
    const std::string& to = value.get_ref<const std::string&>();
    if (to != "#" && !to.starts_with("#/")) {
      // An anchor or an identifier is looked up by the library.
      const bool elsewhere = !to.starts_with('#') && !HasIdentifiers(root_);
      return elsewhere ? judge_.Refuse(pointer, fmt::format("refers to another document, '{}'", to))
                       : Status{};
    }
    if (to == "#" || !seen_.insert(to).second) return {};
    LINNET_ASSIGN(const SchemaJson* found, Resolve(root_, value, pointer, judge_));
    LINNET_TRY(Schema(*found, to, depth + 1));
    return {};
  }

  static bool HasIdentifiers(const SchemaJson& value) {
    if (!value.is_structured()) return false;
    if (const SchemaJson* id = Member(value, "$id"); id != nullptr && id->is_string()) return true;
    return std::ranges::any_of(value, HasIdentifiers);
  }

  Result<SchemaJson> Keyword(const std::string& keyword, const SchemaJson& value, const std::string& pointer,
                             int depth) {
    SchemaJson kept = value;
    const bool list = IsOneOf(kLists, keyword) || (keyword == "items" && value.is_array());
    if (IsOneOf(kMaps, keyword)) {
      if (!value.is_object()) return judge_.Wrong(pointer, "is not a map of schemas");
      for (const auto& [name, schema] : value.items()) {
        LINNET_ASSIGN(kept[name], Schema(schema, Below(pointer, name), depth + 1));
      }
    } else if (list) {
      if (!value.is_array()) return judge_.Wrong(pointer, "is not a list of schemas");
      for (size_t i = 0; i < value.size(); ++i) {
        LINNET_ASSIGN(kept[i], Schema(value[i], Below(pointer, std::to_string(i)), depth + 1));
      }
    } else if (IsOneOf(kSingle, keyword)) {
      LINNET_ASSIGN(kept, Schema(value, pointer, depth + 1));
    }
    return kept;
  }

  // The library keeps alternatives apart only where it sees that they are.
  Status OneOf(SchemaJson kept, const SchemaJson& schema, const std::string& pointer, SchemaJson& prepared) {
    std::optional<SchemaJson> apart = Apart(root_, kept);
    if (!apart && !Coerced()) {
      if (!judge_.lenient) {
        prepared["oneOf"] = std::move(kept);
        return {};
      }
      LINNET_TRY(judge_.Unkept(pointer, "oneOf", "whose alternatives overlap"));
    }
    if (!apart) {
      if (Coerced())
        judge_.warnings.push_back(fmt::format("{}: {}: oneOf is read as anyOf", judge_.what, pointer));
      apart = std::move(kept);
    }
    if (schema.contains("anyOf")) {
      prepared["allOf"].push_back(SchemaJson{{"anyOf", std::move(*apart)}});
    } else {
      prepared["anyOf"] = std::move(*apart);
    }
    return {};
  }

  bool Coerced() const {
    const SchemaJson* options = Member(root_, "x-guidance");
    return options != nullptr && Member(*options, "coerce_one_of") != nullptr &&
           (*options)["coerce_one_of"] == true;
  }

  const SchemaJson& root_;
  SchemaJudge& judge_;
  std::set<std::string> seen_;  // what was referred to
};

}  // namespace

std::unexpected<Error> SchemaJudge::Refuse(std::string_view pointer, std::string_view problem) const {
  return Fail(ErrorCode::kUnsupported, fmt::format("{}: {} {}", what, pointer, problem),
              "leave it out; docs/structured-output.md lists what can be kept");
}

std::unexpected<Error> SchemaJudge::Wrong(std::string_view pointer, std::string_view problem) const {
  return Fail(ErrorCode::kInvalidArgument, fmt::format("{}: {} {}", what, pointer, problem),
              "give a JSON schema, draft 2020-12");
}

Status SchemaJudge::Unkept(std::string_view pointer, std::string_view keyword, std::string_view why) {
  const std::string named = why.empty() ? fmt::format("'{}'", keyword) : fmt::format("'{}' {}", keyword, why);
  if (!lenient) return Refuse(pointer, fmt::format("has {}, which a grammar cannot keep", named));
  warnings.push_back(fmt::format("{}: {}: {} is not kept", what, pointer, named));
  return {};
}

bool IsUnkept(std::string_view keyword) { return IsOneOf(kUnkept, keyword); }

bool AsksNothing(const SchemaJson& schema, std::string_view keyword, const SchemaJson& value) {
  if (keyword == "uniqueItems") return value == false;
  if (keyword == "if") return !schema.contains("then") && !schema.contains("else");
  if (keyword == "contains")
    return Member(schema, "minContains") != nullptr && schema["minContains"] == 0 &&
           !schema.contains("maxContains");
  if (keyword == "not") return value == false;
  if (keyword.starts_with("depend")) return value.is_object() && value.empty();
  return value == true || (value.is_object() && value.empty());
}

const SchemaJson* Member(const SchemaJson& object, const char* name) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(name);
  return found == object.end() ? nullptr : &*found;
}

std::string Below(std::string_view pointer, std::string_view name) {
  std::string below = std::string(pointer) + "/";
  for (const char c : name) {
    if (c == '~') {
      below += "~0";
    } else if (c == '/') {
      below += "~1";
    } else {
      below += c;
    }
  }
  return below;
}

Result<const SchemaJson*> Resolve(const SchemaJson& root, const SchemaJson& reference,
                                  std::string_view pointer, const SchemaJudge& judge) {
  if (!reference.is_string()) return judge.Wrong(pointer, "is no text");
  const std::string& to = reference.get_ref<const std::string&>();
  if (to == "#") return &root;
  if (!to.starts_with("#/"))
    return judge.Refuse(pointer, fmt::format("refers to '{}', not to a place in the schema", to));
  std::string path;  // percent signs stand for characters of an address
  for (size_t i = 1; i < to.size(); ++i) {
    const bool escape = to[i] == '%' && i + 2 < to.size();
    const int high = escape ? HexDigit(to[i + 1]) : -1, low = escape ? HexDigit(to[i + 2]) : -1;
    if (high >= 0 && low >= 0) {
      path += static_cast<char>(16 * high + low);
      i += 2;
    } else {
      path += to[i];
    }
  }
  try {
    const SchemaJson::json_pointer place(path);
    if (root.contains(place)) return &root.at(place);
  } catch (const SchemaJson::exception&) {
  }
  return judge.Wrong(pointer, fmt::format("refers to '{}', which is not there", to));
}

void ForSubschemas(const SchemaJson& schema, std::string_view pointer,
                   const std::function<void(const SchemaJson&, const std::string&)>& visit) {
  if (!schema.is_object()) return;
  for (const auto& [keyword, value] : schema.items()) {
    const std::string below = Below(pointer, keyword);
    const bool listed =
        IsOneOf(kMaps, keyword) || IsOneOf(kLists, keyword) || (keyword == "items" && value.is_array());
    if (listed && value.is_structured()) {
      for (const auto& [name, item] : value.items()) visit(item, Below(below, name));
    } else if (IsOneOf(kSingle, keyword)) {
      visit(value, below);
    }
  }
}

Result<SchemaJson> PrepareSchema(const SchemaJson& schema, SchemaJudge& judge) {
  Preparer preparer(schema, judge);
  LINNET_ASSIGN(SchemaJson prepared, preparer.Schema(schema, "#", 0));
  if (prepared.is_object()) LINNET_TRY(preparer.Definitions(prepared));
  return prepared;
}

}  // namespace linnet
