#include "runtime/grammar_tools.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "runtime/grammar_regex.h"
#include "runtime/grammar_values.h"
#include "text/tool_arguments.h"
#include "text/tool_syntax.h"

namespace linnet {
namespace {

constexpr std::string_view kForm =
    "give tools as {\"type\": \"function\", \"function\": {\"name\": …, \"parameters\": {…}}}";

struct Declared {
  std::string name;
  SchemaJson parameters;
  bool strict = false;
};

bool IsStrict(const SchemaJson& function) {
  const SchemaJson* strict = Member(function, "strict");
  return strict != nullptr && *strict == true;
}

Result<Declared> ReadDeclaration(const SchemaJson& tool, size_t place) {
  const SchemaJson* function = Member(tool, "function");
  const SchemaJson* name = function == nullptr ? nullptr : Member(*function, "name");
  if (name == nullptr || !name->is_string()) {
    return Fail(ErrorCode::kInvalidArgument, fmt::format("tool {} has no function with a name", place + 1),
                std::string(kForm));
  }
  Declared declared{.name = name->get<std::string>(), .parameters = {{"type", "object"}}};
  if (declared.name.empty() || ToolNameLength(declared.name) != declared.name.size()) {
    return Fail(ErrorCode::kUnsupported,
                fmt::format("tool '{}' has a name that a call cannot have", declared.name),
                "use letters, digits and _ - . / $");
  }
  const SchemaJson* parameters = Member(*function, "parameters");
  if (parameters == nullptr || parameters->is_null()) {
    declared.parameters["additionalProperties"] = false;  // a function without parameters
  } else {
    declared.parameters = *parameters;
  }
  declared.strict = IsStrict(*function);
  return declared;
}

Result<std::vector<Declared>> ReadDeclarations(const std::string& tools) {
  const SchemaJson list = SchemaJson::parse(tools, nullptr, false);
  if (!list.is_array() || list.empty()) {
    return Fail(ErrorCode::kInvalidArgument, "the tools are not a JSON list with at least one tool",
                std::string(kForm));
  }
  if (DeeperThan(list, 2 * kMaxSchemaDepth)) {
    return Fail(ErrorCode::kInvalidArgument, "the tools are nested too deeply", std::string(kForm));
  }
  std::vector<Declared> declared;
  for (size_t i = 0; i < list.size(); ++i) {
    LINNET_ASSIGN(Declared one, ReadDeclaration(list[i], i));
    declared.push_back(std::move(one));
  }
  return declared;
}

// `call:NAME{…}` of one tool.
Result<std::string> CallOf(const Declared& tool, const ToolRules& rules, const std::string& quote,
                           LarkRules& lark, std::vector<std::string>& warnings) {
  SchemaJudge judge{.lenient = !tool.strict && !rules.all_strict, .what = fmt::format("tool {}", tool.name)};
  ToolValueGrammar values(tool.parameters, judge, quote, lark);
  LINNET_ASSIGN(const ToolValueGrammar::Expression arguments, values.Arguments(tool.parameters));
  if (!arguments) return judge.Wrong("#", "takes no arguments at all");
  std::ranges::move(judge.warnings, std::back_inserter(warnings));
  return fmt::format("{} {}", LarkString("call:" + tool.name), *arguments);
}

std::string WholeTurn(const ToolRules& rules, const std::string& answer) {
  const std::string calls = rules.parallel ? "call{1,64}" : "call";
  if (rules.choice != ToolRules::Choice::kMay) return rules.text_before ? "TEXT? " + calls : calls;
  if (!answer.empty()) return fmt::format("{} | answer", calls);
  return rules.text_before ? fmt::format("TEXT? ({})?", calls) : fmt::format("TEXT | {}", calls);
}

}  // namespace

bool AnyStrict(const std::string& tools) {
  const SchemaJson list = SchemaJson::parse(tools, nullptr, false);
  return list.is_array() && std::ranges::any_of(list, [](const SchemaJson& tool) {
           const SchemaJson* function = Member(tool, "function");
           return function != nullptr && IsStrict(*function);
         });
}

Result<std::string> ToolsToLark(const std::string& tools, const ToolRules& rules, const CallMarkers& markers,
                                const std::string& answer, std::vector<std::string>& warnings) {
  LINNET_ASSIGN(const std::vector<Declared> declared, ReadDeclarations(tools));
  LarkRules lark;
  std::string calls;
  for (const Declared& tool : declared) {
    if (rules.choice == ToolRules::Choice::kName && tool.name != rules.name) continue;
    LINNET_ASSIGN(const std::string call, CallOf(tool, rules, markers.quote, lark, warnings));
    calls += (calls.empty() ? "" : " | ") + call;
  }
  if (calls.empty()) {
    return Fail(ErrorCode::kInvalidArgument, fmt::format("no tool has the name '{}'", rules.name),
                "name one of those that are declared");
  }
  std::string text = fmt::format("start: {}\n", WholeTurn(rules, answer));
  text += fmt::format("call: {} ({}) {}\n", markers.open, calls, markers.close);
  text += "TEXT: /(?s:.+)/\n";
  if (!answer.empty()) text += "answer: " + answer + "\n";
  return text + lark.text();
}

}  // namespace linnet
