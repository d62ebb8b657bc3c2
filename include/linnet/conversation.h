// A chat: the messages and media so far, rendered in the model's chat format for every answer. Only what
// changed since the last answer is computed.
//
// Thread safety: one thread at a time, that of its engine; a flag to cancel may be set from any.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "linnet/context.h"
#include "linnet/engine.h"
#include "linnet/error.h"
#include "linnet/export.h"
#include "linnet/media.h"
#include "linnet/options.h"
#include "linnet/turn.h"

namespace linnet {

struct ChatSetup {
  std::string system;  // empty = no system message
  std::string tools;   // a JSON list of tool declarations in OpenAI's form; empty = none
  bool thinking = false;
  WhenFull when_full = WhenFull::kRefuse;
};

// A picture, a video or a sound as the model takes it. Copies share its memory.
class LINNET_API Medium {
 public:
  struct Impl;  // for Linnet's own floors
  explicit Medium(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}
  const Impl& impl() const { return *impl_; }

 private:
  std::shared_ptr<const Impl> impl_;
};

// Within a message pictures stand before the text and sound after it, as the model was trained. What
// Conversation::Attach() adds is neither cut nor left out.
struct UserMessage {
  std::string text;
  std::vector<Medium> pictures;  // pictures and videos
  std::vector<Medium> sounds;
};

inline constexpr int64_t kModelImageTokens = -1;

struct MediaOptions {
  // Tokens of a picture at most: 70, 140, 280, 560 or 1120; 0 = the fewest that do not shrink it, not less
  // than the model's own number, as far as there is room; kModelImageTokens = that number.
  int64_t image_tokens = 0;
  int64_t frame_tokens = 70;  // the same of a video frame
  double frames_per_second = 1.0;
  int64_t max_frames = 60;
  // Of a PDF, as "3", "1-3", "1-2,7" or "2-" (to its end, each of the model's own number if it is 0); empty =
  // the first.
  std::string pages;
};

struct MediaPart {
  std::variant<MediaSource, Picture, AudioClip> content;  // something to decode, pixels or samples
  MediaKind kind = MediaKind::kUnknown;  // what a source is taken for; unknown = what it is by its content
  MediaOptions options = {};
  std::string name = {};  // of pixels and samples, for messages
};

// What became of a medium.
struct MediaUse {
  std::string file;
  std::string kind;  // "image", "audio", "video", "video sound"
  int64_t soft_tokens = 0;
  std::string unprotected = {};  // which protections its decoder went without; usually empty
  // What a person should know: damage, lost detail, parts of a long sound.
  std::vector<std::string> notes = {};
};

// What the context holds and what of it is taken, in tokens.
struct MediaRoom {
  int64_t context = 0;
  int64_t taken = 0;
  int64_t can_go = 0;  // of those taken: turns that go where there is no room (WhenFull)
};

struct ConversationParts;  // for Linnet's own floors

// What was said in a conversation at one moment: all but what its session has read. Copies share it.
class LINNET_API ChatPoint {
 public:
  struct Impl;  // for Linnet's own floors
  explicit ChatPoint(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}
  const Impl& impl() const { return *impl_; }

 private:
  std::shared_ptr<const Impl> impl_;
};

// A turn is a message of the user with all that came of it: calls, their results, answers. Turns are counted
// from 1.
//
// A context is full where the messages leave less than an eighth of it for the answer (1024 tokens at most;
// GenerateOptions::max_tokens where that is less). With WhenFull::kShift the oldest turns go then, until what
// stays takes three quarters of the context at most, so that the next turns need not shift again: always
// whole turns, never the system message, the tools or the last turn. The answer is the one, bit by bit, of a
// conversation that holds what stays. kSummarise asks the model for a summary of what goes, which stays as a
// message of the user before the first turn; the next summary takes it in. What went is told
// (GenerateHooks::on_shift, Generation::shift). A last turn that does not fit by itself is refused, and an
// answer that fills the context ends there (FinishReason::kContext).
class LINNET_API Conversation {
 public:
  // The engine must outlive the conversation. Errors: those of Engine::NewSession; kInvalidArgument when the
  // tools are not a JSON list of declarations.
  static Result<Conversation> Create(Engine& engine, const SessionOptions& options = {},
                                     const ChatSetup& setup = {});
  Conversation(Conversation&&) noexcept;
  Conversation& operator=(Conversation&&) noexcept;
  ~Conversation();

  // Puts media into the message that is to be added next, each kind in the order given, so that they fit what
  // the context has left beside the messages so far. Pictures that may take as many tokens as they like share
  // what the others leave; videos that are too long for it keep fewer frames, evenly; sounds beyond 30 s, the
  // model's limit, become several, cut at their pauses. A part of the room stays for the answer. What was
  // reduced is told in the notes. Errors: those of the loader; kUnsupported when the model has no such sense;
  // kInvalidArgument when they do not fit; kOutOfMemory. The message is as before then.
  Result<std::vector<MediaUse>> Attach(const MediaLoader& loader, std::vector<MediaPart> parts,
                                       UserMessage& message);
  // How many seconds of sound that is not there yet may follow. Errors: kUnsupported for a model that does
  // not hear, kInvalidArgument when there is no room for a second.
  Result<double> RoomForSound(const UserMessage& message);
  // What media can have that are to go into this message: the messages so far, its text and the media that it
  // has already are taken. Errors: kOutOfMemory.
  Result<MediaRoom> Room(const UserMessage& message);

  void AddUser(UserMessage message);
  // The result of the tool calls of the last answer, one for each, in their order. REQUIRES:
  // AwaitsToolResult().
  void AddToolResult(const std::string& result);
  bool AwaitsToolResult() const;

  // Answers the messages so far and adds the answer to them. When it fails, or is cancelled before its first
  // token (kCancelled), the messages are as before, also those that made room for it; the next answer goes on
  // from what the session has read. Errors: those of Turn::Begin; kInvalidArgument where the context is full.
  Result<Generation> Answer(const GenerateOptions& options = {}, const GenerateHooks& hooks = {});

  // The same for callers that run the steps themselves (linnet/scheduler.h): the turn that answers, which
  // belongs to the conversation; and, when it is done or is to be cancelled, its answer. Nothing else may be
  // done with the conversation in between. A summary is written before it returns. `cancel` as of
  // Turn::Begin().
  Result<Turn*> Begin(const GenerateOptions& options, const std::atomic<bool>* cancel = nullptr);
  Result<Generation> End();

  // What went before the answer that was begun last.
  const std::optional<ContextShift>& shift() const;

  // Takes back the last message that was added and not answered.
  void DropUnanswered();

  int64_t turns() const;
  // The message that a turn began with, to ask it again or to change it. kInvalidArgument: there is no such
  // turn.
  Result<UserMessage> Asked(int64_t turn) const;
  // Takes back this turn and all after it. kInvalidArgument: there is no such turn.
  Status DropTurns(int64_t first);
  // What was said so far, and going back to it: with it come its system message, tools and whether it thinks.
  // REQUIRES of GoTo(): the point is of a conversation with the same model.
  ChatPoint Point() const;
  void GoTo(const ChatPoint& point);
  // Who takes how much of the context, with a message that may be added next. Errors: kOutOfMemory.
  Result<ContextUse> Use(const UserMessage& next = {}) const;

  // Forgets the messages; the system message and the tools stay.
  void Reset();
  void SetSystem(const std::string& system);  // and Reset
  void SetThinking(bool thinking);
  bool thinking() const;
  void SetWhenFull(WhenFull when_full);
  WhenFull when_full() const;

  int64_t length() const;   // tokens held
  int64_t context() const;  // tokens it can hold

 private:
  static Result<Conversation> Make(Engine& engine, const SessionOptions& options, const ChatSetup& setup);
  Result<Turn*> BeginWith(const GenerateOptions& options, const GenerateHooks& hooks);
  friend ConversationParts PartsOf(Conversation& conversation);
  struct Impl;
  explicit Conversation(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace linnet
