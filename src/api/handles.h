// What the handles of linnet/linnet.h hold, and how errors and exceptions become values.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstring>
#include <exception>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "linnet/conversation.h"
#include "linnet/engine.h"
#include "linnet/error.h"
#include "linnet/linnet.h"
#include "linnet/media.h"
#include "linnet/scheduler.h"

namespace linnet::api {

// Lives until the last handle that needs it is freed.
struct Model {
  std::unique_ptr<Engine> engine;
  std::optional<MediaLoader> loader;

  const MediaLoader& Loader();  // starts its helper once, and says what it goes without
};

void Log(const std::string& line);

linnet_status Report(const Error& error, linnet_error* out) noexcept;

inline std::unexpected<Error> Wrong(std::string what, std::string hint = {}) {
  return Fail(ErrorCode::kInvalidArgument, std::move(what), std::move(hint));
}

// Runs `body`, which returns a Status.
template <typename Body>
linnet_status Guarded(linnet_error* out, const Body& body) noexcept {
  try {
    const Status done = body();
    if (!done) return Report(done.error(), out);
    if (out != nullptr) *out = {LINNET_OK, ""};
    return LINNET_OK;
  } catch (const std::bad_alloc&) {
    return Report({ErrorCode::kOutOfMemory, "out of memory", ""}, out);
  } catch (const std::length_error&) {  // more than a container can ever hold
    return Report({ErrorCode::kOutOfMemory, "out of memory", ""}, out);
  } catch (const std::exception& error) {
    return Report({ErrorCode::kInternal, error.what(), ""}, out);
  } catch (...) {
    return Report({ErrorCode::kInternal, "a callback threw", ""}, out);
  }
}

// The same for functions that return a pointer or a number, which `body` sets.
template <typename Value, typename Body>
Value GuardedValue(Value failed, linnet_error* out, const Body& body) noexcept {
  Value value = failed;
  return Guarded(out, [&] { return body(value); }) == LINNET_OK ? value : failed;
}

// The options given, with the usual ones where a program knows fewer. A program that knows more may mean
// something by it that this library cannot do. The size of a structure is a multiple of its alignment: any
// other would cut a pointer in two.
template <typename Options>
Result<Options> Given(const Options* given, Options usual) {
  if (given == nullptr) return usual;
  if (given->size < sizeof(size_t) || given->size > sizeof(Options) || given->size % alignof(Options) != 0) {
    return Wrong("options of " + std::to_string(given->size) + " bytes",
                 "begin with the initialiser of linnet.h; the library must not be older than the header");
  }
  std::memcpy(&usual, given, given->size);
  return usual;
}

inline std::string OrEmpty(const char* text) { return text == nullptr ? std::string() : text; }

}  // namespace linnet::api

struct linnet_engine {
  std::shared_ptr<linnet::api::Model> model;
};

struct linnet_conversation {
  linnet_conversation(std::shared_ptr<linnet::api::Model> the_model, linnet::Conversation the_conversation)
      : model(std::move(the_model)), conversation(std::move(the_conversation)) {}
  ~linnet_conversation();

  // While an answer is written and its end is told, nothing may be done with the conversation.
  class Writing {
   public:
    explicit Writing(linnet_conversation& conversation) : c_(conversation) { c_.writing = true; }
    ~Writing() {
      c_.on_event = nullptr;
      c_.cancel = c_.thrown = c_.writing = false;
    }
    Writing(const Writing&) = delete;
    Writing& operator=(const Writing&) = delete;

   private:
    linnet_conversation& c_;
  };

  // An answer that a scheduler's steps write.
  linnet::Status Begin(const linnet_answer_options& options);
  linnet::GenerateHooks Hooks();
  void End();
  // Takes what became of an answer, and tells its end.
  linnet::Status Keep(linnet::Result<linnet::Generation> answer);
  // Throws nothing: what a callback throws cancels the answer, which fails.
  void Tell(linnet_event event) noexcept;
  void TellPiece(linnet_event_kind kind, std::string_view piece) noexcept;
  void TellCall(const linnet::ToolCall& call) noexcept;
  void TellShift(const linnet::ContextShift& shift) noexcept;

  std::shared_ptr<linnet::api::Model> model;  // outlives the conversation
  linnet::Conversation conversation;
  std::vector<linnet::MediaPart> parts;  // of the next message
  std::atomic<bool> cancel{false};
  linnet_event_function on_event = nullptr;  // of the answer in the making
  void* user = nullptr;
  bool thrown = false;                    // by a callback
  bool writing = false;                   // a Writing lives
  linnet_scheduler* scheduler = nullptr;  // whose steps write the answer
  linnet::Turn* turn = nullptr;
  std::string text;  // of the last answer
  linnet_finish finish = LINNET_FINISH_STOP;
};

struct linnet_scheduler {
  linnet_scheduler(std::shared_ptr<linnet::api::Model> the_model, linnet::Scheduler the_scheduler)
      : model(std::move(the_model)), scheduler(std::move(the_scheduler)) {}
  void Forget(linnet_conversation* conversation);

  std::shared_ptr<linnet::api::Model> model;
  linnet::Scheduler scheduler;
  std::vector<linnet_conversation*> running;
  bool stepping = false;  // a step goes on: this is a callback of one of its answers
};
