#include "text/tool_syntax.h"

#include <algorithm>
#include <charconv>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "text/utf8.h"

namespace linnet {
namespace {

using Json = nlohmann::ordered_json;

MarkedText Plain(std::string_view text) { return std::move(MarkedText().Text(text)); }

MarkedText Quote(std::string_view text) {
  return std::move(MarkedText().Marker(kToolQuote).Text(text).Marker(kToolQuote));
}

// `before`, what stands inside, `after`.
MarkedText Around(std::string_view before, const MarkedText& inside, std::string_view after) {
  return std::move(MarkedText().Text(before).Append(inside).Text(after));
}

// The member, or nullptr where there is none or `object` is no map.
const Json* Find(const Json& object, const char* name) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(name);
  return found == object.end() ? nullptr : &*found;
}

// Jinja's idea of a true value.
bool Truthy(const Json* value) {
  if (value == nullptr || value->is_null()) return false;
  if (value->is_boolean()) return value->get<bool>();
  if (value->is_number()) return value->get<double>() != 0;
  if (value->is_string()) return !value->get_ref<const std::string&>().empty();
  return !value->empty();
}

// Python's str() of a value, which the reference prints where a schema holds something odd.
std::string PythonText(const Json& value, bool inside = false) {
  if (value.is_string()) {
    const std::string& text = value.get_ref<const std::string&>();
    return inside ? "'" + text + "'" : text;
  }
  if (value.is_null()) return "None";
  if (value.is_boolean()) return value.get<bool>() ? "True" : "False";
  if (value.is_number()) return PythonNumber(value);
  std::string text;
  for (const auto& [key, item] : value.items()) {
    if (!text.empty()) text += ", ";
    if (value.is_object()) text += "'" + key + "': ";
    text += PythonText(item, true);
  }
  return value.is_object() ? "{" + text + "}" : "[" + text + "]";
}

std::string TextOrEmpty(const Json* value) { return value == nullptr ? std::string() : PythonText(*value); }

// The entries in Jinja's dictsort order: by key without case, otherwise as they came.
std::vector<std::pair<std::string, const Json*>> Sorted(const Json& map) {
  struct Entry {
    std::string folded;
    std::pair<std::string, const Json*> entry;
  };
  std::vector<Entry> entries;
  for (const auto& [key, value] : map.items()) entries.push_back({ToLower(key), {key, &value}});
  std::ranges::stable_sort(entries, {}, &Entry::folded);
  std::vector<std::pair<std::string, const Json*>> sorted;
  for (Entry& entry : entries) sorted.push_back(std::move(entry.entry));
  return sorted;
}

class Joined {
 public:
  void Add(const MarkedText& part) {
    if (!first_) text_.Text(",");
    first_ = false;
    text_.Append(part);
  }
  const MarkedText& text() const { return text_; }

 private:
  MarkedText text_;
  bool first_ = true;
};

std::unexpected<Error> WrongTool(const std::string& where, std::string_view problem) {
  return Fail(ErrorCode::kInvalidArgument, where + " " + std::string(problem),
              "give tools as {\"type\": \"function\", \"function\": {\"name\": …, \"parameters\": {…}}}");
}

Result<MarkedText> RenderRequired(const Json& required, const std::string& where) {
  if (!required.is_array()) return WrongTool(where + ".required", "is not a list");
  Joined names;
  for (const Json& name : required) names.Add(Quote(PythonText(name)));
  return Around("required:[", names.text(), "]");
}

Result<MarkedText> RenderProperties(const Json& properties, const std::string& where, bool skip_keywords);

Result<MarkedText> RenderItems(const Json& items, const std::string& where) {
  Joined parts;
  for (const auto& [key, value] : Sorted(items)) {
    if (value->is_null()) continue;
    if (key == "properties") {
      MarkedText inner;
      if (value->is_object()) {
        LINNET_ASSIGN(inner, RenderProperties(*value, where + ".properties", false));
      }
      parts.Add(Around("properties:{", inner, "}"));
    } else if (key == "required") {
      LINNET_ASSIGN(const MarkedText required, RenderRequired(*value, where));
      parts.Add(required);
    } else if (key == "type" && value->is_array()) {
      Joined types;
      for (const Json& type : *value) types.Add(Quote(ToUpperAscii(PythonText(type))));
      parts.Add(Around("type:[", types.text(), "]"));
    } else if (key == "type" && value->is_string()) {
      parts.Add(Around("type:", Quote(ToUpperAscii(PythonText(*value))), ""));
    } else if (key == "type") {
      return WrongTool(where + ".type", "is neither a string nor a list");
    } else {
      parts.Add(Around(key + ":", RenderToolValue(*value, true), ""));
    }
  }
  return Around("items:{", parts.text(), "}");
}

// What a property of type OBJECT adds.
Status AddObject(const Json& schema, const std::string& where, Joined& parts) {
  const Json* properties = Find(schema, "properties");
  const bool own = properties != nullptr && properties->is_object();
  // Without a map of properties the schema's own entries are taken for them.
  LINNET_ASSIGN(const MarkedText inner,
                RenderProperties(own ? *properties : schema, where + ".properties", !own));
  parts.Add(Around("properties:{", inner, "}"));
  if (const Json* required = Find(schema, "required"); Truthy(required)) {
    LINNET_ASSIGN(const MarkedText names, RenderRequired(*required, where));
    parts.Add(names);
  }
  return {};
}

Result<MarkedText> RenderProperty(const Json& schema, const std::string& where) {
  Joined parts;
  if (const Json* description = Find(schema, "description"); Truthy(description)) {
    parts.Add(Around("description:", Quote(PythonText(*description)), ""));
  }
  const std::string type = ToUpperAscii(TextOrEmpty(Find(schema, "type")));
  const Json* items = Find(schema, "items");
  if (const Json* values = Find(schema, "enum"); type == "STRING" && Truthy(values)) {
    parts.Add(Around("enum:", RenderToolValue(*values, true), ""));
  } else if (type == "ARRAY" && items != nullptr && items->is_object() && !items->empty()) {
    LINNET_ASSIGN(const MarkedText rendered, RenderItems(*items, where + ".items"));
    parts.Add(rendered);
  }
  if (Truthy(Find(schema, "nullable"))) parts.Add(Plain("nullable:true"));
  if (type == "OBJECT") LINNET_TRY(AddObject(schema, where, parts));
  parts.Add(Around("type:", Quote(type), ""));
  return parts.text();
}

Result<MarkedText> RenderProperties(const Json& properties, const std::string& where, bool skip_keywords) {
  constexpr std::string_view kKeywords[] = {"description", "type", "properties", "required", "nullable"};
  Joined parts;
  for (const auto& [key, schema] : Sorted(properties)) {
    if (skip_keywords && std::ranges::find(kKeywords, key) != std::end(kKeywords)) continue;
    LINNET_ASSIGN(const MarkedText property, RenderProperty(*schema, where + "." + key));
    parts.Add(Around(key + ":{", property, "}"));
  }
  return parts.text();
}

Result<MarkedText> RenderParameters(const Json& parameters, const std::string& where) {
  if (!parameters.is_object()) return WrongTool(where, "is not a map");
  MarkedText text = Plain(",parameters:{");
  if (const Json* properties = Find(parameters, "properties"); Truthy(properties)) {
    if (!properties->is_object()) return WrongTool(where + ".properties", "is not a map");
    LINNET_ASSIGN(const MarkedText inner, RenderProperties(*properties, where + ".properties", false));
    text.Append(Around("properties:{", inner, "},"));
  }
  if (const Json* required = Find(parameters, "required"); Truthy(required)) {
    LINNET_ASSIGN(const MarkedText names, RenderRequired(*required, where));
    text.Append(names).Text(",");
  }
  // The reference writes the closing brace only together with the type.
  if (const Json* type = Find(parameters, "type"); Truthy(type)) {
    text.Append(Around("type:", Quote(ToUpperAscii(PythonText(*type))), "}"));
  }
  return text;
}

MarkedText RenderResponseSchema(const Json& response) {
  MarkedText text = Plain(",response:{");
  if (const Json* description = Find(response, "description"); Truthy(description)) {
    text.Append(Around("description:", Quote(PythonText(*description)), ","));
  }
  if (ToUpperAscii(TextOrEmpty(Find(response, "type"))) == "OBJECT") {
    text.Append(Around("type:", Quote("OBJECT"), "}"));
  }
  return text;
}

}  // namespace

bool DeeperThan(const Json& value, int depth) {
  if (!value.is_structured()) return false;
  if (depth == 0) return true;
  return std::ranges::any_of(value, [&](const Json& item) { return DeeperThan(item, depth - 1); });
}

std::string PythonNumber(const Json& number) {
  if (number.is_number_unsigned()) return std::to_string(number.get<uint64_t>());
  if (number.is_number_integer()) return std::to_string(number.get<int64_t>());
  const double value = number.get<double>();
  char buffer[64];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific).ptr;
  const std::string_view shortest(buffer, static_cast<size_t>(end - buffer));  // d.ddde+dd, fewest digits
  const size_t e = shortest.find('e');
  if (e == shortest.npos) return std::string(shortest);  // inf, nan
  int exponent = 0;
  std::from_chars(shortest.data() + e + (shortest[e + 1] == '+' ? 2 : 1), end, exponent);
  if (exponent < -4 || exponent >= 16) return std::string(shortest);
  const auto fixed = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::fixed).ptr;
  std::string text(buffer, static_cast<size_t>(fixed - buffer));
  if (text.find('.') == text.npos) text += ".0";
  return text;
}

MarkedText RenderToolValue(const Json& value, bool quoted_keys) {
  if (value.is_string()) return Quote(value.get_ref<const std::string&>());
  if (value.is_boolean()) return Plain(value.get<bool>() ? "true" : "false");
  if (value.is_null()) return Plain("null");
  if (value.is_number()) return Plain(PythonNumber(value));
  Joined parts;
  if (value.is_object()) {
    for (const auto& [key, item] : Sorted(value)) {
      MarkedText entry = quoted_keys ? Quote(key) : Plain(key);
      parts.Add(entry.Text(":").Append(RenderToolValue(*item, quoted_keys)));
    }
    return Around("{", parts.text(), "}");
  }
  for (const Json& item : value) parts.Add(RenderToolValue(item, quoted_keys));
  return Around("[", parts.text(), "]");
}

MarkedText RenderToolCall(std::string_view name, const Json& arguments) {
  const MarkedText map = arguments.is_object() ? RenderToolValue(arguments, false) : Plain("{}");
  return Around(fmt::format("call:{}", name), map, "");
}

Result<MarkedText> RenderToolDeclaration(const Json& tool) {
  const Json* function = Find(tool, "function");
  if (function == nullptr || !function->is_object()) return WrongTool("tool", "has no \"function\" map");
  const Json* name = Find(*function, "name");
  if (name == nullptr || !name->is_string())
    return WrongTool("tool: function.name", "is missing or not a string");
  MarkedText text = Plain("declaration:" + name->get<std::string>() + "{description:");
  text.Append(Quote(TextOrEmpty(Find(*function, "description"))));
  if (const Json* parameters = Find(*function, "parameters"); Truthy(parameters)) {
    const std::string where = fmt::format("tool {}: parameters", name->get<std::string>());
    LINNET_ASSIGN(const MarkedText rendered, RenderParameters(*parameters, where));
    text.Append(rendered);
  }
  if (const Json* response = Find(*function, "response")) text.Append(RenderResponseSchema(*response));
  return std::move(text.Text("}"));
}

}  // namespace linnet
