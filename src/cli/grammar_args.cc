#include "cli/grammar_args.h"

#include <utility>

#include "cli/report.h"
#include "cli/text_input.h"

namespace linnet {

void DeclareGrammar(Args& args, GrammarArgs& values) {
  args.Option("--schema", values.schema, "the answer is JSON that follows the JSON schema in this file");
  args.Option("--regex", values.regex, "the whole answer matches this regular expression");
  args.Option("--grammar", values.grammar,
              "the answer follows the grammar in this file, in Lark's notation or GBNF");
  args.Flag(
      "--strict", values.strict,
      "the arguments of every tool follow its declaration, not only of those that say \"strict\": true");
}

Result<std::optional<GrammarSource>> ReadGrammar(const GrammarArgs& values,
                                                 const std::set<std::string>& given) {
  const int count = static_cast<int>(given.contains("--schema")) +
                    static_cast<int>(given.contains("--regex")) +
                    static_cast<int>(given.contains("--grammar"));
  if (count == 0) return std::nullopt;
  if (count > 1) {
    return Fail(ErrorCode::kInvalidArgument,
                "--schema, --regex and --grammar say twice what the answer follows", "give one of them");
  }
  if (given.contains("--regex"))
    return GrammarSource{.kind = GrammarKind::kRegex, .text = values.regex, .choices = {}};
  const bool schema = given.contains("--schema");
  LINNET_ASSIGN(std::string text, ReadTextFile(schema ? values.schema : values.grammar, size_t{4} << 20));
  const GrammarKind kind = schema ? GrammarKind::kJsonSchema : NotationOf(text);
  return GrammarSource{.kind = kind, .text = std::move(text), .choices = {}};
}

bool GrammarChoice::Any() const { return source || (!tools.empty() && (strict || AnyStrict(tools))); }

Result<std::unique_ptr<TokenMask>> MaskOf(const GrammarChoice& choice, const Engine& engine) {
  if (!choice.Any()) return nullptr;
  LINNET_ASSIGN(const auto compiler, GrammarCompiler::Create(engine));
  ToolRules rules;
  rules.all_strict = choice.strict;
  rules.answer = choice.source;
  LINNET_ASSIGN(const Grammar grammar, choice.tools.empty() ? compiler->Compile(*choice.source)
                                                            : compiler->CompileTools(choice.tools, rules));
  for (const std::string& warning : grammar.warnings()) Say("linnet: {}\n", warning);
  return grammar.NewMask();
}

void PlanGrammar(const GrammarChoice& choice, MemoryUse& use) {
  if (choice.Any()) use.others.push_back({.name = "grammars", .bytes = kGrammarCompilerBytes});
}

}  // namespace linnet
