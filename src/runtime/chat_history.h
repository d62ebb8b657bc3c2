// What has been said in a chat: messages, their media, and the tokens of what the model wrote. It knows
// nothing of the session that has read it. Copies share the media.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "linnet/conversation.h"
#include "linnet/error.h"
#include "linnet/turn.h"
#include "runtime/prompt.h"
#include "text/chat_format.h"

namespace linnet {

class ChatHistory {
 public:
  using Json = nlohmann::ordered_json;

  struct Message {
    Json json;                      // in OpenAI's shape; media are parts without content
    std::vector<MediaInput> media;  // in the order of these parts
    WrittenTurn written;            // its tokens, if the model wrote it
  };

  // `tools`: a list, or null. Begins with the system message, if there is one.
  ChatHistory(std::string system, Json tools, bool thinking);

  // These take nothing where there is no memory for all of it.
  void AddUser(UserMessage message);
  void AddAnswer(const Generation& answer);
  // REQUIRES: AwaitsToolResult().
  void AddToolResult(const std::string& result);
  void DropLast() { messages_.pop_back(); }
  // All messages but the system's.
  void Clear();
  void SetSystem(std::string system);  // and Clear
  void SetThinking(bool thinking) { thinking_ = thinking; }

  const std::vector<Message>& messages() const { return messages_; }
  bool thinking() const { return thinking_; }
  bool AwaitsToolResult() const;
  // The last message is neither the model's nor the system's.
  bool unanswered() const;

  struct Rendered {
    Prompt prompt;
    bool inside_thought = false;  // it ends in an open thought
  };
  // All of it as a prompt for the next answer. Errors: those of RenderChat and BuildPrompt.
  Result<Rendered> Render(const Tokenizer& tokenizer, const ModelConfig& config) const;

 private:
  // The call that waits for the next result; null if none does.
  const Json* WaitingCall() const;

  std::string system_;
  Json tools_;
  bool thinking_;
  std::vector<Message> messages_;
};

}  // namespace linnet
