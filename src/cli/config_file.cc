#include "cli/config_file.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "cli/args.h"
#include "cli/text_input.h"

#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

namespace linnet {
namespace {

constexpr size_t kMostBytes = 1 << 20;

// Whether the value has the option's type.
bool Set(const toml::node& node, std::string& value) {
  const auto text = node.value_exact<std::string>();
  const auto number = node.value_exact<int64_t>();  // draft = 4, cache-ram = 0
  if (text) value = *text;
  if (number) value = std::to_string(*number);
  return text || number;
}

bool Set(const toml::node& node, int64_t& value) {
  const auto number = node.value_exact<int64_t>();
  if (number) value = *number;
  return number.has_value();
}

bool Set(const toml::node& node, bool& value) {
  const auto flag = node.value_exact<bool>();
  if (flag) value = *flag;
  return flag.has_value();
}

bool Set(const toml::node& node, std::vector<std::string>& value) {
  const toml::array* const list = node.as_array();
  if (list == nullptr) return false;
  value.clear();
  for (const toml::node& item : *list) {
    const auto text = item.value_exact<std::string>();
    if (!text) return false;
    value.push_back(*text);
  }
  return true;
}

bool IsAllowed(const ConfigOption& option, const std::string& text) {
  return option.allowed.empty() || std::ranges::find(option.allowed, text) != option.allowed.end();
}

const char* TypeOf(const ConfigOption& option) {
  static constexpr const char* kTypes[] = {"a text", "a whole number", "true or false", "a list of texts"};
  return kTypes[option.value.index()];
}

}  // namespace

Status ReadConfigFile(const std::string& path, const std::vector<ConfigOption>& options,
                      std::set<std::string>& given) {
  LINNET_ASSIGN(const std::string text, ReadTextFile(path, kMostBytes));
  const toml::parse_result parsed = toml::parse(text);
  if (!parsed) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("{}, line {}: {}", path, parsed.error().source().begin.line,
                            parsed.error().description()),
                "write TOML, as: parallel = 8");
  }
  std::set<std::string> set;
  for (const auto& [key, node] : parsed.table()) {
    const std::string name(key.str());
    const std::string where = fmt::format("{}, line {}", path, node.source().begin.line);
    const auto option = std::ranges::find(options, name, &ConfigOption::name);
    if (option == options.end()) {
      std::vector<std::string> names;
      for (const ConfigOption& one : options) names.push_back(one.name);
      const std::optional<std::string> meant = Nearest(name, names);
      return Fail(ErrorCode::kInvalidArgument, fmt::format("{}: there is no option {}", where, name),
                  meant ? "did you mean " + *meant + "?" : "the options are those of --help, without dashes");
    }
    if (given.contains("--" + name)) continue;
    const auto assign = [&node = node](auto* value) { return Set(node, *value); };
    if (!std::visit(assign, option->value)) {
      return Fail(ErrorCode::kInvalidArgument, fmt::format("{}: {} has a value of another type", where, name),
                  fmt::format("give {}", TypeOf(*option)));
    }
    const auto* const text = std::get_if<std::string*>(&option->value);
    if (text != nullptr && !IsAllowed(*option, **text)) {
      return Fail(ErrorCode::kInvalidArgument, fmt::format("{}: {} is '{}'", where, name, **text),
                  fmt::format("give one of {}", fmt::join(option->allowed, ", ")));
    }
    set.insert("--" + name);
  }
  given.merge(set);
  return {};
}

}  // namespace linnet
