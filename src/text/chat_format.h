// Turns a conversation into the text the model was trained on: Gemma 4's canonical chat template, or Gemma
// 3's turns.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "linnet/error.h"
#include "linnet/turn.h"
#include "text/marked_text.h"

namespace linnet {

enum class ChatStyle {
  kGemma4,         // 12B, 26B, 31B: without thinking, the answer starts after an empty thought
  kGemma4Compact,  // E2B, E4B: without that empty thought
  kGemma3,         // <start_of_turn>, no tools, no thinking, no media
};

struct ChatOptions {
  enum class Generation {
    kNone,
    kReference,  // opens the answer as the reference does
    kAlways,  // the same, and also where the reference opens no turn: after text behind the results of calls
  };
  ChatStyle style = ChatStyle::kGemma4;
  Generation generation = Generation::kNone;
  bool enable_thinking = false;
  bool preserve_thinking = false;        // keep the thoughts of earlier turns that called tools
  std::span<const WrittenTurn> written;  // by message; shorter than the messages or empty
};

struct RenderedChat {
  MarkedText text;              // with its `<bos>`
  bool inside_thought = false;  // the answer begins in a thought that the text has opened
};

// `messages` is a list of OpenAI-shaped messages: `role` (system, developer, user, assistant, tool or any
// other name), `content` (text, a list of parts, or null), and where they apply `reasoning` or
// `reasoning_content`, `tool_calls`, `tool_call_id`, `name`, `tool_responses`. A call's arguments may be a
// map or its JSON text. `tools`: a list of OpenAI-shaped tools, or null.
//
// Whatever the messages spell stays text. kInvalidArgument names the message and the field; kUnsupported: the
// style cannot express it.
Result<RenderedChat> RenderChat(const nlohmann::ordered_json& messages, const nlohmann::ordered_json& tools,
                                const ChatOptions& options);

// The text of a model turn without its thoughts, and without stray closing markers; stripped.
std::string StripThinking(std::string_view text);

}  // namespace linnet
