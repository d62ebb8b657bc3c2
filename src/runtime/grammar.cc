#include "linnet/grammar.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/deep_stack.h"
#include "base/memory_guard.h"
#include "base/printable.h"
#include "base/stopwatch.h"
#include "base/utf8.h"
#include "runtime/engine_impl.h"
#include "runtime/grammar_gbnf.h"
#include "runtime/grammar_library.h"
#include "runtime/grammar_mask.h"
#include "runtime/grammar_regex.h"
#include "runtime/grammar_schema.h"
#include "runtime/grammar_tools.h"
#include "runtime/mask_ahead.h"
#include "runtime/token_bytes.h"
#include "runtime/token_mask.h"
#include "text/tool_syntax.h"

namespace linnet {
namespace {

constexpr size_t kMostGrammarBytes = size_t{1} << 20, kMostLarkBytes = size_t{256} << 10;
// The library reads a grammar by recursion: a rule that refers to a rule, brackets in brackets.
constexpr size_t kLibraryStack = size_t{512} << 20;
// Compiled one by one to find what the library cannot keep.
constexpr int kMostTrials = 200;
constexpr double kMostTrialSeconds = 2;

struct CulpritSearch {
  int trials = 0;
  Clock::time_point begin = Clock::now();

  bool Over() { return ++trials > kMostTrials || SecondsSince(begin) > kMostTrialSeconds; }
};

std::string GrammarToken(int32_t id) { return fmt::format("<[{}]>", id); }

Result<SchemaJson> ReadSchema(const std::string& text) {
  const auto fail = [](std::string_view problem) {
    return Fail(ErrorCode::kInvalidArgument, fmt::format("the schema {}", problem),
                "give a JSON schema, draft 2020-12");
  };
  try {
    bool deep = false;
    const SchemaJson json = SchemaJson::parse(text, [&](int depth, SchemaJson::parse_event_t, SchemaJson&) {
      deep = deep || depth > 2 * kMaxSchemaDepth;
      return !deep;
    });
    if (deep) return fail("is nested too deeply");
    return json;
  } catch (const SchemaJson::exception& error) {
    return fail(fmt::format("is no JSON ({})", error.what()));
  }
}

// The schema of a source, prepared for the library.
Result<SchemaJson> SchemaOf(const GrammarSource& source, SchemaJudge& judge) {
  SchemaJson schema = {{"type", "object"}};
  if (source.kind == GrammarKind::kJsonSchema) {
    LINNET_ASSIGN(schema, ReadSchema(source.text));
  }
  LINNET_ASSIGN(SchemaJson prepared, PrepareSchema(schema, judge));
  if (prepared == false) return judge.Wrong("#", "allows no answer at all");
  return prepared;
}

// The schema with how its JSON is written: on one line, with a space behind commas and colons or without.
std::string LibrarySchema(SchemaJson schema) {
  if (!schema.is_object()) schema = SchemaJson::object();
  schema["x-guidance"] = {
      {"whitespace_flexible", false}, {"item_separator", ", ?"}, {"key_separator", ": ?"}};
  return schema.dump(-1, ' ', false, SchemaJson::error_handler_t::replace);
}

GrammarTokens TokensOf(const Tokenizer& tokenizer, const ModelConfig& config) {
  const auto id = [&](std::string_view name) { return tokenizer.TokenId(name).value_or(-1); };
  GrammarTokens tokens{.words = MaskWords(config.vocab_size),
                       .channel_open = id("<|channel>"),
                       .channel_close = id("<channel|>"),
                       .quote = id(kToolQuote),
                       .call_close = id("<tool_call|>"),
                       .ends = config.tokens.eos,
                       .results_wanted = id("<|tool_response>")};
  tokens.in_thought.resize(tokens.words);
  for (int32_t token = 0; token < std::min<int64_t>(config.vocab_size, tokenizer.vocab_size()); ++token) {
    const std::string bytes = TokenBytes(tokenizer, token);
    const bool special = bytes.starts_with(kSpecialMark);
    const bool ends = std::ranges::find(config.tokens.eos, token) != config.tokens.eos.end();
    if (token == tokens.channel_close || (!special && !ends)) {
      SetAllowed(tokens.in_thought, token, true);
    }
    for (size_t spelled = 0; !special && spelled < kToolQuote.size(); ++spelled) {
      const bool all = SpelledQuote(spelled, bytes) == kToolQuote.size();
      if (all) tokens.spell_quote[spelled].push_back(token);
    }
  }
  return tokens;
}

// Whether it is a grammar of its own, which is no part of a larger one.
bool IsWhole(GrammarKind kind) { return kind == GrammarKind::kLark || kind == GrammarKind::kGbnf; }

Status CheckText(const GrammarSource& source) {
  if (!IsValidUtf8(source.text)) return Fail(ErrorCode::kInvalidArgument, "the grammar is not UTF-8");
  const size_t most = IsWhole(source.kind) ? kMostLarkBytes : kMostGrammarBytes;
  if (source.text.size() <= most) return {};
  return Fail(ErrorCode::kInvalidArgument,
              fmt::format("the grammar has {} bytes, at most {} are read", source.text.size(), most),
              "make it smaller");
}

// What is told of a grammar quotes it; a line of it is enough.
Result<Grammar> InOneLine(Result<Grammar> made) {
  constexpr size_t kMostBytes = 600;
  if (made) return made;
  std::string& what = made.error().what;
  if (what.size() > kMostBytes) what = what.substr(0, CompletePrefix(what.substr(0, kMostBytes))) + "…";
  what = Printable(what);
  return made;
}

}  // namespace

struct LINNET_HIDDEN GrammarCompiler::Impl {
  std::shared_ptr<const GrammarTokens> tokens;
  std::shared_ptr<const TokenTrie> trie;
  std::shared_ptr<SideThread> side;  // of all masks
  CallMarkers markers;

  Result<GrammarState> Library(GrammarText kind, const std::string& text) const;
  Result<Grammar> Make(GrammarText kind, const std::string& text, ValueNotation notation,
                       std::vector<std::string> warnings) const;
  Result<Grammar> Schema(const GrammarSource& source) const;
  // An expression in Lark's notation, for a part of a larger grammar. Errors: kUnsupported for whole
  // grammars.
  Result<std::string> Part(const GrammarSource& source, std::vector<std::string>& warnings) const;
  Result<Grammar> Lark(const GrammarSource& source) const;
  std::string Culprit(const SchemaJson& root, const SchemaJson& schema, const std::string& pointer,
                      CulpritSearch& search) const;
};

Result<GrammarState> GrammarCompiler::Impl::Library(GrammarText kind, const std::string& text) const {
  if (text.find('\0') != text.npos) {
    return Fail(ErrorCode::kInvalidArgument, "the grammar has a character with the code 0 in it",
                "leave it out");
  }
  std::optional<Result<GrammarState>> state;
  std::exception_ptr thrown;
  const bool ran = RunOnDeepStack(kLibraryStack, [&] {
    try {
      state = GrammarState::Compile(trie, kind, text);
    } catch (...) {
      thrown = std::current_exception();
    }
  });
  if (thrown) std::rethrow_exception(thrown);
  if (!ran) return Fail(ErrorCode::kOutOfMemory, "the system has no thread to compile a grammar");
  return std::move(*state);
}

Result<Grammar> GrammarCompiler::Impl::Make(GrammarText kind, const std::string& text, ValueNotation notation,
                                            std::vector<std::string> warnings) const {
  LINNET_ASSIGN(GrammarState state, Library(kind, text));
  // What is too large for the library shows when an answer is to begin.
  std::vector<uint32_t> first(tokens->words);
  LINNET_TRY(state.Copy().Mask(first));
  return Grammar(std::make_shared<const Grammar::Impl>(Grammar::Impl{.tokens = tokens,
                                                                     .trie = trie,
                                                                     .side = side,
                                                                     .start = std::move(state),
                                                                     .notation = notation,
                                                                     .warnings = std::move(warnings)}));
}

// The place of the deepest schema that the library does not take by itself.
std::string GrammarCompiler::Impl::Culprit(const SchemaJson& root, const SchemaJson& schema,
                                           const std::string& pointer, CulpritSearch& search) const {
  std::string found = pointer;
  ForSubschemas(schema, pointer, [&](const SchemaJson& below, const std::string& at) {
    if (found != pointer || !below.is_object() || search.Over()) return;
    SchemaJson alone = below;
    for (const char* name : {"$defs", "definitions", "$schema"}) {
      if (const SchemaJson* shared = Member(root, name)) alone[name] = *shared;
    }
    if (!Library(GrammarText::kJsonSchema, LibrarySchema(std::move(alone))))
      found = Culprit(root, below, at, search);
  });
  return found;
}

Result<Grammar> GrammarCompiler::Impl::Schema(const GrammarSource& source) const {
  SchemaJudge judge;
  LINNET_ASSIGN(const SchemaJson prepared, SchemaOf(source, judge));
  Result<Grammar> made = Make(GrammarText::kJsonSchema, LibrarySchema(prepared), ValueNotation::kJson,
                              std::move(judge.warnings));
  if (made || made.error().code != ErrorCode::kInvalidArgument) return made;
  CulpritSearch search;
  const std::string pointer = Culprit(prepared, prepared, "#", search);
  return judge.Refuse(pointer, fmt::format("cannot be kept by a grammar ({})", made.error().what));
}

Result<std::string> GrammarCompiler::Impl::Part(const GrammarSource& source,
                                                std::vector<std::string>& warnings) const {
  switch (source.kind) {
    case GrammarKind::kJsonSchema:
    case GrammarKind::kJsonObject: {
      SchemaJudge judge;
      LINNET_ASSIGN(const SchemaJson prepared, SchemaOf(source, judge));
      std::ranges::move(judge.warnings, std::back_inserter(warnings));
      return "%json " + LibrarySchema(prepared);
    }
    case GrammarKind::kRegex: {
      LINNET_ASSIGN(const std::string regex, WholeRegex(source.text, RegexMatch::kWhole));
      return LarkRegex(regex);
    }
    case GrammarKind::kChoice: {
      std::string choices;
      for (const std::string& choice : source.choices) {
        if (!IsValidUtf8(choice)) return Fail(ErrorCode::kInvalidArgument, "a choice is not UTF-8");
        choices += (choices.empty() ? "" : " | ") + LarkString(choice);
      }
      if (!choices.empty()) return choices;
      return Fail(ErrorCode::kInvalidArgument, "there is no choice", "give at least one");
    }
    default:
      return Fail(ErrorCode::kUnsupported, "a grammar of its own cannot stand beside tools",
                  "give a JSON schema, a regular expression or choices, or leave the tools out");
  }
}

Result<Grammar> GrammarCompiler::Impl::Lark(const GrammarSource& source) const {
  std::string lark = source.text;
  if (source.kind == GrammarKind::kGbnf) {
    LINNET_ASSIGN(lark, GbnfToLark(source.text));
  }
  Result<Grammar> made = Make(GrammarText::kLark, lark, ValueNotation::kText, {});
  if (!made) return Prefixed("the grammar cannot be used", std::move(made.error()));
  return made;
}

GrammarKind NotationOf(std::string_view grammar) {
  for (size_t at = grammar.find("::="); at != grammar.npos; at = grammar.find("::=", at + 1)) {
    const size_t line = grammar.rfind('\n', at) + 1;  // npos + 1 is the beginning
    const std::string_view before = grammar.substr(line, at - line);
    if (before.find_first_of("\"/#'") == before.npos) return GrammarKind::kGbnf;
  }
  return GrammarKind::kLark;
}

GrammarCompiler::GrammarCompiler(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
GrammarCompiler::~GrammarCompiler() = default;

bool HasGrammars() { return HasGrammarLibrary(); }

Result<std::shared_ptr<const GrammarCompiler>> GrammarCompiler::Create(const Engine& engine) {
  return WithinMemory(
      "the vocabulary of grammars", "close other programs",
      [&]() -> Result<std::shared_ptr<const GrammarCompiler>> {
        if (engine.impl().tokenizer == nullptr) {
          return Fail(ErrorCode::kUnsupported, "this engine has no tokenizer", "load the model with one");
        }
        const ModelConfig& config = engine.impl().config;
        const Tokenizer& tokenizer = *engine.impl().tokenizer;
        auto impl = std::make_unique<Impl>();
        impl->side = std::make_shared<SideThread>();
        LINNET_ASSIGN(impl->trie,
                      TokenTrie::Make(engine.impl().tokenizer, config.vocab_size, config.tokens.eos));
        GrammarTokens tokens = TokensOf(tokenizer, config);
        impl->markers = {GrammarToken(tokenizer.TokenId("<|tool_call>").value_or(-1)),
                         GrammarToken(tokens.call_close), GrammarToken(tokens.quote)};
        impl->tokens = std::make_shared<const GrammarTokens>(std::move(tokens));
        return std::make_shared<const GrammarCompiler>(std::move(impl));
      });
}

Result<Grammar> GrammarCompiler::Compile(const GrammarSource& source) const {
  return InOneLine(WithinMemory("a grammar", "make it smaller", [&]() -> Result<Grammar> {
    LINNET_TRY(CheckText(source));
    if (IsWhole(source.kind)) return impl_->Lark(source);
    if (source.kind == GrammarKind::kJsonSchema || source.kind == GrammarKind::kJsonObject) {
      return impl_->Schema(source);
    }
    std::vector<std::string> warnings;
    LINNET_ASSIGN(const std::string part, impl_->Part(source, warnings));
    Result<Grammar> made = impl_->Make(GrammarText::kLark, "start: " + part, ValueNotation::kText, {});
    if (!made) return Prefixed("the regular expression or choice cannot be used", std::move(made.error()));
    return made;
  }));
}

Result<Grammar> GrammarCompiler::CompileTools(const std::string& tools, const ToolRules& rules) const {
  return InOneLine(WithinMemory("a grammar", "make it smaller", [&]() -> Result<Grammar> {
    const GrammarTokens& tokens = *impl_->tokens;
    if (tokens.quote < 0 || tokens.call_close < 0) {
      return Fail(ErrorCode::kUnsupported, "this model has no tokens for tool calls", "leave the tools out");
    }
    if (tools.size() > kMostGrammarBytes)
      return Fail(ErrorCode::kInvalidArgument, "the tools have more than 1 MiB");
    std::vector<std::string> warnings;
    std::string answer;
    if (rules.answer) {
      LINNET_TRY(CheckText(*rules.answer));
      LINNET_ASSIGN(answer, impl_->Part(*rules.answer, warnings));
    }
    LINNET_ASSIGN(const std::string lark, ToolsToLark(tools, rules, impl_->markers, answer, warnings));
    Result<Grammar> made =
        impl_->Make(GrammarText::kLark, lark, ValueNotation::kToolCalls, std::move(warnings));
    if (!made) return Prefixed("the tools cannot be kept by a grammar", std::move(made.error()));
    return made;
  }));
}

const std::vector<std::string>& Grammar::warnings() const { return impl_->warnings; }

std::unique_ptr<TokenMask> Grammar::NewMask() const {
  return NewMaskAhead(NewGrammarMask(impl_), impl_->side);
}

}  // namespace linnet
