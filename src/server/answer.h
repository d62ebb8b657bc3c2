// What the server is asked to write, in no protocol's words: a prompt that is ready to be read, how it is to
// be continued, and who is told what comes of it.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "linnet/error.h"
#include "linnet/turn.h"
#include "runtime/chat_history.h"
#include "runtime/prefix_key.h"
#include "runtime/prompt.h"

namespace linnet {

// A prompt, and what helps to read it only once. Made beside the engine, on any thread.
struct PreparedPrompt {
  std::shared_ptr<const Prompt> prompt;
  std::shared_ptr<const PrefixKey> key;
  std::optional<ChatHistory> history;  // that it renders; none: it is continued as plain text
  bool inside_thought = false;
  int64_t parts = 0;  // where the prompt after this one will part from it, at the latest

  int64_t tokens() const { return static_cast<int64_t>(prompt->ids.size()); }
};

// Of a chat. Errors: those of ChatHistory::Render; kInvalidArgument where the context is full.
Result<PreparedPrompt> Prepare(Engine& engine, ChatHistory history, int64_t context);
// Of text or tokens to continue as they are. The same errors.
Result<PreparedPrompt> PreparePlain(Engine& engine, Prompt prompt, int64_t context);

struct AnswerRequest {
  PreparedPrompt prepared;
  GenerateOptions options;
  std::unique_ptr<TokenMask> mask;  // what options.mask refers to
  std::string owner;                // whose turn it is, where many wait
  bool one_call = false;            // the answer ends with its first call of a tool

  // The answer follows this too. Null: nothing more.
  void Hold(std::unique_ptr<TokenMask> rule);
};

// An answer that was asked for. Its listener is told on the thread that `post` of the service leads to.
class AnswerJob {
 public:
  struct Listener {
    std::function<void(std::vector<TurnEvent>)> on_events;
    std::function<void(Result<Generation>)> on_end;  // once, the last
  };
  AnswerJob(AnswerRequest request, Listener listener)
      : request_(std::move(request)), listener_(std::move(listener)) {}

  // From any thread; it ends within a step, with kCancelled or what was written.
  void Cancel() { cancelled_ = true; }
  const std::atomic<bool>& cancelled() const { return cancelled_; }

  AnswerRequest& request() { return request_; }
  const Listener& listener() const { return listener_; }
  // Waits until that one has read its prompt, which is the same.
  void SetAfter(std::shared_ptr<AnswerJob> after) { after_ = std::move(after); }
  bool may_begin() const { return after_ == nullptr || after_->has_read_; }
  void SetHasRead() { has_read_ = true; }

 private:
  AnswerRequest request_;
  Listener listener_;
  std::atomic<bool> cancelled_ = false, has_read_ = false;
  std::shared_ptr<AnswerJob> after_;
};

using AnswerJobPtr = std::shared_ptr<AnswerJob>;

}  // namespace linnet
