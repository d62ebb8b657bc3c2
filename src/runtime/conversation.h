// A chat over one session: the messages and media so far, rendered in the model's chat format for every
// answer. Only what changed since the last answer is computed.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "linnet/engine.h"
#include "linnet/session.h"
#include "runtime/generate.h"
#include "runtime/prompt.h"
#include "runtime/turn.h"

namespace linnet {

struct ChatSetup {
  std::string system;  // empty = no system message
  std::string tools;   // a JSON list of tool declarations (OpenAI's form or bare functions); empty = none
  bool thinking = false;
};

// Within a message pictures stand before the text and sound after it, as the model was trained.
struct UserMessage {
  std::string text;
  std::vector<MediaInput> pictures;  // ImageInput or VideoInput
  std::vector<MediaInput> sounds;    // AudioInput
};

// What the context holds and what of it is taken, in tokens.
struct MediaRoom {
  int64_t context = 0;
  int64_t taken = 0;
};

class Conversation {
 public:
  // The engine must outlive the conversation. Errors: those of Engine::NewSession; kInvalidArgument when the
  // tools are not a JSON list of declarations.
  static Result<Conversation> Create(Engine& engine, const SessionOptions& options, const ChatSetup& setup);
  Conversation(Conversation&&) noexcept;
  Conversation& operator=(Conversation&&) noexcept;
  ~Conversation();

  void AddUser(UserMessage message);
  // What media can have that are to go into this message: the messages so far, its text and the media that it
  // has already are taken. Errors: kOutOfMemory.
  Result<MediaRoom> Room(const UserMessage& message);
  // The result of the tool calls of the last answer, one for each, in their order. REQUIRES:
  // AwaitsToolResult().
  void AddToolResult(const std::string& result);
  bool AwaitsToolResult() const;

  // Answers the messages so far and adds the answer to them. When it fails, or is cancelled before its first
  // token (kCancelled), the messages are as before; the next answer goes on from what the session has read.
  Result<Generation> Answer(const GenerateOptions& options, const GenerateHooks& hooks = {});

  // The same for callers that run the steps themselves (scheduler.h): the turn that answers, which belongs to
  // the conversation; and, when it is done or is to be cancelled, its answer. Nothing else may be done with
  // the conversation in between. `cancel` as in TurnInput.
  Result<Turn*> Begin(const GenerateOptions& options, const std::atomic<bool>* cancel = nullptr);
  Result<Generation> End();

  // Takes back the last message that was added and not answered.
  void DropUnanswered();
  // Forgets the messages; the system message and the tools stay.
  void Reset();
  void SetSystem(const std::string& system);  // and Reset
  void SetThinking(bool thinking);
  bool thinking() const;

  const Session& session() const;

 private:
  static Result<Conversation> Make(Engine& engine, const SessionOptions& options, const ChatSetup& setup);
  struct Impl;
  explicit Conversation(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// The part of a prompt behind its first `length` tokens, with the media that belong to it. `length` is
// lowered to the beginning of a media block that it would cut; the returned number says to what.
int64_t DropPrefix(Prompt& prompt, int64_t length);

}  // namespace linnet
