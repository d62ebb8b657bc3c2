// JSON from untrusted files: bounded depth, no duplicate keys, and errors instead of exceptions.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "linnet/error.h"

namespace linnet {

inline constexpr int kMaxJsonDepth = 64;

// `name` is the file for the message. Errors: kBadFile with the place of the first mistake.
Result<nlohmann::json> ParseJson(std::string_view text, std::string_view name);
Result<nlohmann::json> ParseJson(std::span<const uint8_t> text, std::string_view name);

// A member of an object; null where there is none, or no object.
const nlohmann::json& JsonMember(const nlohmann::json& object, const char* name);

}  // namespace linnet
