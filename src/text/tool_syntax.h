// Gemma's notation of tools: declarations, calls, responses and their values, written and read.
//
// Values look like JSON with the token `<|"|>` as quote, without escapes and without spaces:
// {city:<|"|>Oslo<|"|>,n:2}.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "linnet/error.h"
#include "linnet/turn.h"
#include "text/marked_text.h"

namespace linnet {

inline constexpr std::string_view kToolQuote = "<|\"|>";

// Deeper JSON is refused: rendering is recursive.
inline constexpr int kMaxToolDepth = 64;
bool DeeperThan(const nlohmann::ordered_json& value, int depth);

// A value; maps in case-insensitive order of their keys, which are quoted inside schemas and bare elsewhere.
// REQUIRES: not deeper than kMaxToolDepth.
MarkedText RenderToolValue(const nlohmann::ordered_json& value, bool quoted_keys);

// `declaration:NAME{…}` of an OpenAI-shaped tool {"type": "function", "function": {…}}. kInvalidArgument: the
// shape is wrong. REQUIRES: not deeper than kMaxToolDepth.
Result<MarkedText> RenderToolDeclaration(const nlohmann::ordered_json& tool);

// `call:NAME{…}` of a map of arguments. REQUIRES: not deeper than kMaxToolDepth.
MarkedText RenderToolCall(std::string_view name, const nlohmann::ordered_json& arguments);

// As Python prints it: 3, 2.5, 1e-05, 1e+22.
std::string PythonNumber(const nlohmann::ordered_json& number);

// The calls of one block, which should be one.
struct ToolCallBlock {
  std::vector<ToolCall> calls;
  std::string rest;  // what belongs to none of them
};

// Reads what stands between `<|tool_call>` and `<tool_call|>`. Never fails: missing brackets and quotes,
// quotes of any kind or none, round brackets, JSON and several calls in a block are read as they were most
// likely meant, and such calls are not `complete`. `cut`: the output was cut off inside the block. A value of
// which too little is there to know it is null, a string as long as it is.
ToolCallBlock ParseToolCalls(std::string_view text, bool cut);

}  // namespace linnet
