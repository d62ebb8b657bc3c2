#include "server/structured.h"

#include <algorithm>
#include <utility>

namespace linnet {
namespace {

const Json* NameOf(const Json& tool) {
  if (!tool.is_object() || !tool.contains("function") || !tool["function"].is_object()) return nullptr;
  const auto name = tool["function"].find("name");
  return name == tool["function"].end() ? nullptr : &*name;
}

// One way to say what a text follows, and its member.
struct Way {
  const char* member;
  GrammarKind kind;
};

Result<GrammarSource> SourceIn(const Fields& fields, const Way& way) {
  GrammarSource source{.kind = way.kind};
  if (way.kind == GrammarKind::kChoice) {
    LINNET_ASSIGN(source.choices, fields.Texts(way.member));
    return source;
  }
  const Json& value = fields.at(way.member);
  if (way.kind == GrammarKind::kJsonSchema && !value.is_string()) {
    source.text = Dump(value);
    return source;
  }
  LINNET_ASSIGN(const auto text, fields.Text(way.member));
  source.text = *text;
  if (way.kind == GrammarKind::kLark) source.kind = NotationOf(source.text);
  return source;
}

Result<std::optional<GrammarSource>> ReadResponseFormat(const Fields& body) {
  LINNET_ASSIGN(const Json* format, body.Object("response_format"));
  const Fields fields(*format, body.PathOf("response_format"));
  LINNET_ASSIGN(const auto type, fields.Text("type"));
  if (!type || *type == "text") return std::nullopt;
  if (*type == "json_object") {
    if (fields.has("schema")) return SourceIn(fields, {"schema", GrammarKind::kJsonSchema});
    return GrammarSource{.kind = GrammarKind::kJsonObject};
  }
  if (*type != "json_schema") {
    return fields.Wrong("type", "is '" + *type + "'", "give text, json_object or json_schema");
  }
  LINNET_ASSIGN(const Json* wrapped, fields.Object("json_schema"));
  const Fields inner(*wrapped, fields.PathOf("json_schema"));
  if (!inner.has("schema")) return inner.Wrong("schema", "is missing", "give the schema");
  return SourceIn(inner, {"schema", GrammarKind::kJsonSchema});
}

}  // namespace

Result<std::optional<Grammar>> Grammars::Compile(const AnswerForm& form) {
  const bool must = form.calls.choice != ToolRules::Choice::kMay;
  const bool tools = !form.tools.is_null() && (must || form.source || AnyStrict(Dump(form.tools)));
  if (!form.source && !tools) return std::nullopt;
  {
    const std::lock_guard lock(mutex_);
    if (compiler_ == nullptr) {
      LINNET_ASSIGN(compiler_, GrammarCompiler::Create(engine_));
    }
  }
  if (!tools) return compiler_->Compile(*form.source);
  ToolRules rules = form.calls;
  if (!must) rules.answer = form.source;
  return compiler_->CompileTools(Dump(form.tools), rules);
}

Result<std::optional<GrammarSource>> ReadAnswerForm(const Fields& body) {
  static constexpr Way kOfBody[] = {
      {"guided_json", GrammarKind::kJsonSchema}, {"guided_regex", GrammarKind::kRegex},
      {"guided_choice", GrammarKind::kChoice},   {"guided_grammar", GrammarKind::kLark},
      {"grammar", GrammarKind::kLark},           {"json_schema", GrammarKind::kJsonSchema}};
  static constexpr Way kStructured[] = {{"json", GrammarKind::kJsonSchema},
                                        {"regex", GrammarKind::kRegex},
                                        {"choice", GrammarKind::kChoice},
                                        {"grammar", GrammarKind::kLark}};
  LINNET_ASSIGN(std::optional<GrammarSource> found, ReadResponseFormat(body));
  const auto take = [&](const Fields& fields, const Way& way) -> Status {
    if (!fields.has(way.member)) return {};
    if (found) return fields.Wrong(way.member, "says again what the answer follows", "give one of them");
    LINNET_ASSIGN(found, SourceIn(fields, way));
    return {};
  };
  for (const Way& way : kOfBody) LINNET_TRY(take(body, way));
  LINNET_ASSIGN(const Json* structured, body.Object("structured_outputs"));
  const Fields inner(*structured, body.PathOf("structured_outputs"));
  for (const Way& way : kStructured) LINNET_TRY(take(inner, way));
  return found;
}

Status ReadToolChoice(const Fields& body, AnswerForm& form) {
  LINNET_ASSIGN(const auto parallel, body.Flag("parallel_tool_calls"));
  form.calls.parallel = parallel.value_or(true);
  const Json* choice = &body.at("tool_choice");
  const auto wrong = [&] {
    return body.Wrong("tool_choice", "is " + Dump(body.at("tool_choice")),
                      R"(give auto, none, required or {"type": "function", "function": {"name": …}})");
  };
  if (choice->is_object() && choice->value("type", Json()) == "allowed_tools") {
    const Json allowed = choice->value("allowed_tools", *choice);
    if (!allowed.is_object() || !allowed.value("tools", Json()).is_array()) return wrong();
    Json left = Json::array();
    for (const Json& tool : form.tools) {
      const auto same = [&](const Json& one) {
        return NameOf(one) && NameOf(tool) && *NameOf(one) == *NameOf(tool);
      };
      if (std::ranges::any_of(allowed["tools"], same)) left.push_back(tool);
    }
    form.tools = std::move(left);
    if (allowed.value("mode", Json("auto")) == "required") form.calls.choice = ToolRules::Choice::kMust;
  } else if (choice->is_object()) {
    const Json* name = NameOf(*choice);
    if (name == nullptr || !name->is_string()) return wrong();
    form.calls.choice = ToolRules::Choice::kName;
    form.calls.name = name->get<std::string>();
  } else if (*choice == "required") {
    form.calls.choice = ToolRules::Choice::kMust;
  } else if (*choice == "none") {
    form.tools = Json();
  } else if (!choice->is_null() && *choice != "auto") {
    return wrong();
  }
  if (form.tools.empty()) form.tools = Json();
  if (form.tools.is_null() && form.calls.choice != ToolRules::Choice::kMay) {
    return body.Wrong("tool_choice", "asks for a call and there are no tools", "give tools");
  }
  form.calls.text_before = form.calls.choice == ToolRules::Choice::kMay;
  return {};
}

}  // namespace linnet
