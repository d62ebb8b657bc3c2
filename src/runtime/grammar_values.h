// Schemas as grammars of Gemma's own notation of values: {city:<|"|>Oslo<|"|>,n:2} (text/tool_syntax.h), in
// llguidance's Lark. Every value that such a grammar takes is read back as it was meant, and matches its
// schema.
//
// Keys stand in the order that the model was trained on; a property that is not declared may stand behind the
// others where the schema says so (`additionalProperties`) or declares none. Whole numbers have at most 15
// digits.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "linnet/error.h"
#include "runtime/grammar_schema.h"
#include "runtime/schema_alternatives.h"

namespace linnet {

// Rules and lexemes of all schemas of a grammar.
class LarkRules {
 public:
  // A name for `body`; equal bodies have the same.
  std::string Rule(const std::string& body) { return Named("v", body); }
  std::string Lexeme(const std::string& body) { return Named("V", body); }
  const std::string& text() const { return text_; }

 private:
  std::string Named(std::string_view prefix, const std::string& body);

  std::string text_;
  std::map<std::string, std::string> names_;
};

class ToolValueGrammar {
 public:
  // An expression over rules; none where no value matches.
  using Expression = std::optional<std::string>;

  // `quote`: the quote token in Lark's notation.
  ToolValueGrammar(const SchemaJson& root, SchemaJudge& judge, std::string quote, LarkRules& rules)
      : alternatives_(root, judge), judge_(judge), quote_(std::move(quote)), rules_(rules) {}

  // The arguments of a call, which are a map. Errors: those of the judge.
  Result<Expression> Arguments(const SchemaJson& schema);

 private:
  struct Entry {
    std::string name, expression;
    bool required = false;
  };

  Result<Expression> Value(const SchemaJson& schema, const std::string& pointer, int depth);
  Result<Expression> Simple(const SimpleSchema& schema, int depth);
  Result<Expression> OfType(const std::string& type, const SimpleSchema& schema, int depth);
  Result<Expression> Enumeration(const SimpleSchema& schema, const std::vector<std::string>& types);
  Result<Expression> List(const SimpleSchema& schema, int depth);
  Result<Expression> Map(const SimpleSchema& schema, int depth);
  Result<Expression> Others(const SimpleSchema& schema, const std::vector<std::string>& names, int depth);
  Result<std::vector<Entry>> Entries(const SimpleSchema& schema, int depth, bool& possible);
  std::string Object(const std::vector<Entry>& entries, const Expression& others);
  Status CheckCounts(const SimpleSchema& schema, size_t required, size_t most, bool open);

  Result<Expression> String(const SimpleSchema& schema);
  Result<Expression> Number(const SimpleSchema& schema, bool whole);
  std::string Key(const std::string& name) const;
  std::string Constant(const SchemaJson& value) const;

  SchemaAlternatives alternatives_;
  SchemaJudge& judge_;
  std::string quote_;
  LarkRules& rules_;
  std::map<std::string, Expression> known_;  // by schema and depth
};

// A number of characters, items or properties that a schema asks for.
int64_t CountOr(const SchemaJson& schema, const char* name, int64_t otherwise);

// The depth of a value of any type below this depth: such values nest a few levels deep at most.
int FreeDepth(int depth);

// Types that a schema allows: as it says, or those that its keywords speak of, or all.
std::vector<std::string> TypesOf(const SchemaJson& schema);

}  // namespace linnet
