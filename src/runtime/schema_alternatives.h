// What a schema says once its references and combinations are gone: a list of schemas without any, of which
// an instance matches one.
#pragma once

#include <string>
#include <vector>

#include "runtime/grammar_schema.h"

namespace linnet {

struct SimpleSchema {
  SchemaJson keywords =
      SchemaJson::object();  // without $ref, allOf, anyOf, oneOf; `const` is an `enum` of one
  std::string pointer;
};

class SchemaAlternatives {
 public:
  SchemaAlternatives(const SchemaJson& root, SchemaJudge& judge) : root_(root), judge_(judge) {}

  // None where no instance matches. Errors: those of the judge.
  Result<std::vector<SimpleSchema>> Of(const SchemaJson& schema, const std::string& pointer) {
    return Of(schema, pointer, 0);
  }

 private:
  using Simples = std::vector<SimpleSchema>;
  Result<Simples> Of(const SchemaJson& schema, const std::string& pointer, int steps);
  Result<Simples> Any(const SchemaJson& list, const std::string& pointer, int steps);
  Result<Simples> OneOf(const SchemaJson& list, const std::string& pointer, int steps);
  // All that match one of each.
  Result<Simples> Both(const Simples& left, const Simples& right, const std::string& pointer);
  // Nothing where no instance can match both.
  Result<std::optional<SimpleSchema>> Both(const SimpleSchema& left, const SimpleSchema& right);
  Status Merge(const std::string& keyword, const SchemaJson& value, SimpleSchema& into);

  const SchemaJson& root_;
  SchemaJudge& judge_;
};

}  // namespace linnet
