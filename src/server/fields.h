// Members of a JSON object that somebody sent: read with their type, or refused by name.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "linnet/error.h"

namespace linnet {

using Json = nlohmann::ordered_json;

// The JSON text of an object. Errors, kInvalidArgument: it is none, or nested so deeply or of so many values
// that it would take far more memory than its text.
Result<Json> ParseObject(std::string_view text);

// Text for a client: bytes that are no UTF-8 are replaced.
std::string Dump(const Json& json);

// Absent and null members are the same. Errors, all kInvalidArgument, name the member.
class Fields {
 public:
  // `where` stands before the names of members: "messages[2]"; empty at the top.
  explicit Fields(const Json& object, std::string where = {}) : object_(object), where_(std::move(where)) {}

  // Null where it is not there.
  const Json& at(const char* name) const;
  bool has(const char* name) const { return !at(name).is_null(); }
  // Whether it is there, were it null.
  bool contains(const char* name) const { return object_.is_object() && object_.contains(name); }
  std::string PathOf(const char* name) const;

  Result<std::optional<std::string>> Text(const char* name) const;
  Result<std::optional<bool>> Flag(const char* name) const;
  struct Range {
    double least, most;
  };
  Result<std::optional<double>> Number(const char* name, Range range) const;
  Result<std::optional<int64_t>> Integer(const char* name, Range range) const;
  // One text, or a list of them.
  Result<std::vector<std::string>> Texts(const char* name) const;
  // Null, or an object.
  Result<const Json*> Object(const char* name) const;
  // Null, or a list.
  Result<const Json*> List(const char* name) const;

  std::unexpected<Error> Wrong(const char* name, const std::string& what, std::string hint = {}) const;

 private:
  const Json& object_;
  std::string where_;
};

}  // namespace linnet
