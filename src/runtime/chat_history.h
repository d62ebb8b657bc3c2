// What has been said in a chat: messages, their media, and the tokens of what the model wrote. It knows
// nothing of the session that has read it. Copies share the media.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
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
  // The messages with which turns begin.
  std::vector<size_t> TurnBegins() const;
  // The oldest ones, and the summary before them. REQUIRES: count < TurnBegins().size().
  void DropFirstTurns(size_t count);
  // All from this one on. REQUIRES: first < TurnBegins().size().
  void DropTurnsFrom(size_t first);
  // Stands before the first turn, as a message of the user, instead of the last one.
  void SetSummary(const std::string& summary);
  bool HasSummary() const;
  // All messages but the system's.
  void Clear();
  void SetSystem(std::string system);  // and Clear
  void SetThinking(bool thinking) { thinking_ = thinking; }

  // Instead of those there are, the system's among them.
  void SetMessages(std::vector<Message> messages) { messages_ = std::move(messages); }

  const std::vector<Message>& messages() const { return messages_; }
  const std::string& system() const { return system_; }
  const Json& tools() const { return tools_; }
  bool thinking() const { return thinking_; }
  bool AwaitsToolResult() const;
  // The last message is neither the model's nor the system's, and no summary.
  bool unanswered() const;

  struct Rendered {
    Prompt prompt;
    bool inside_thought = false;  // it ends in an open thought
  };
  // The last message is the beginning of an answer, which the next one goes on from.
  bool GoesOn() const;

  // All of it as a prompt for the next answer. Errors: those of RenderChat and BuildPrompt.
  Result<Rendered> Render(const Tokenizer& tokenizer, const ModelConfig& config) const;
  // Its text alone, without the beginning of an answer if that is not wanted. Errors: those of RenderChat.
  Result<RenderedChat> RenderText(const ModelConfig& config, bool answer) const;
  // Of the messages from `begin` to before `end`.
  std::vector<MediaInput> MediaOf(size_t begin, size_t end) const;

 private:
  static bool IsSummary(const Message& message) { return message.json.contains("summary"); }
  size_t AfterSystem() const;
  // The call that waits for the next result; null if none does.
  const Json* WaitingCall() const;

  std::string system_;
  Json tools_;
  bool thinking_;
  std::vector<Message> messages_;
};

}  // namespace linnet
