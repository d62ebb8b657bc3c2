// Turns a conversation into the text the model was trained on: Gemma 4's canonical chat template, or Gemma
// 3's turns.
#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "linnet/error.h"

namespace linnet {

enum class ChatStyle {
  kGemma4,         // 12B, 26B, 31B: without thinking, the answer starts after an empty thought
  kGemma4Compact,  // E2B, E4B: without that empty thought
  kGemma3,         // <start_of_turn>, no tools, no thinking, no media
};

struct ChatOptions {
  ChatStyle style = ChatStyle::kGemma4;
  bool add_generation_prompt = false;
  bool enable_thinking = false;
  bool preserve_thinking = false;  // keep the thoughts of earlier turns that called tools
};

// The rendered prompt, with its `<bos>`. `messages` is a list of OpenAI-shaped messages: `role` (system,
// developer, user, assistant, tool or any other name), `content` (text, a list of parts, or null), and where
// they apply `reasoning` or `reasoning_content`, `tool_calls`, `tool_call_id`, `name`, `tool_responses`. A
// call's arguments may be a map or its JSON text. `tools`: a list of OpenAI-shaped tools, or null.
//
// Nothing is escaped: special-token strings inside a message become special tokens when the result is
// encoded. kInvalidArgument names the message and the field; kUnsupported: the style cannot express it.
Result<std::string> RenderChat(const nlohmann::ordered_json& messages, const nlohmann::ordered_json& tools,
                               const ChatOptions& options);

// The same, always ready for an answer. The reference writes no header after a model turn that ends in text
// after the results of its calls; here a new model turn is opened then too. `add_generation_prompt` is taken
// as set.
Result<std::string> RenderPrompt(const nlohmann::ordered_json& messages, const nlohmann::ordered_json& tools,
                                 ChatOptions options);

// The text of a model turn without its thoughts, and without stray closing markers; stripped.
std::string StripThinking(std::string_view text);

}  // namespace linnet
