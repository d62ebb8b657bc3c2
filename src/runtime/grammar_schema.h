// JSON schemas before they become grammars: what no grammar can keep is refused with its keyword and JSON
// pointer, and what one can keep in other words is rewritten.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "linnet/error.h"

namespace linnet {

using SchemaJson = nlohmann::ordered_json;

// Deeper schemas are refused: reading them is recursive, here and in the library.
inline constexpr int kMaxSchemaDepth = 64;

// Refuses a keyword at a JSON pointer; or, where a declaration is not strict, only says that it is left out.
struct SchemaJudge {
  bool lenient = false;
  std::string what = "schema";  // in front of the pointer: "tool weather"
  std::vector<std::string> warnings;

  std::unexpected<Error> Refuse(std::string_view pointer, std::string_view problem) const;
  std::unexpected<Error> Wrong(std::string_view pointer, std::string_view problem) const;
  // An error, or a warning where it is lenient.
  Status Unkept(std::string_view pointer, std::string_view keyword, std::string_view why = {});
};

// The member of a map, or null.
const SchemaJson* Member(const SchemaJson& object, const char* name);
// A pointer with one more name.
std::string Below(std::string_view pointer, std::string_view name);
// What a reference within the same document refers to. Errors, by SchemaJudge: other documents, nothing
// there.
Result<const SchemaJson*> Resolve(const SchemaJson& root, const SchemaJson& reference,
                                  std::string_view pointer, const SchemaJudge& judge);
// Whether no grammar keeps a keyword, and whether such a keyword of a schema asks for nothing.
bool IsUnkept(std::string_view keyword);
bool AsksNothing(const SchemaJson& schema, std::string_view keyword, const SchemaJson& value);
// Calls `visit` with each schema directly below this one.
void ForSubschemas(const SchemaJson& schema, std::string_view pointer,
                   const std::function<void(const SchemaJson&, const std::string&)>& visit);

// The alternatives of a `oneOf` of which an instance can never match two, so that they may be read as
// `anyOf`; narrower than they were where only that keeps them apart. None where no way is known.
std::optional<SchemaJson> Apart(const SchemaJson& root, const SchemaJson& alternatives);

// The schema as the library takes it.
Result<SchemaJson> PrepareSchema(const SchemaJson& schema, SchemaJudge& judge);

}  // namespace linnet
