// What a session has read, and how the next prompt goes on from it or from what the engine's store keeps.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "linnet/error.h"
#include "linnet/session.h"
#include "linnet/turn.h"
#include "runtime/engine_impl.h"
#include "runtime/prefix_key.h"
#include "runtime/prefix_store.h"
#include "runtime/prompt.h"
#include "runtime/prompt_reader.h"

namespace linnet {

class PrefixReuse {
 public:
  // The session must outlive it; nobody else may feed it, but it may be made to forget.
  explicit PrefixReuse(Session& session) : session_(session.impl()) {}

  // The tokens and media that the session holds.
  const PrefixKey& held() const { return held_; }
  void SetHeld(PrefixKey held) { held_ = std::move(held); }

  // A turn's input, with the whole prompt.
  struct Asked {
    Prompt prompt;
    PrefixKey key;      // of it
    int64_t parts = 0;  // where the prompt after this one will part from it, if that is inside
    bool inside_thought = false, plain = false;  // as TurnInput
    const std::atomic<bool>* cancel = nullptr;
  };
  // Begins a turn that goes on from the longest beginning of the prompt that the session or the store has.
  // `session` is the one that this is of. Errors: those of BeginTurn().
  Result<std::unique_ptr<Turn>> Begin(Engine& engine, Session& session, Asked asked,
                                      const GenerateOptions& options);
  // Ends it where it is; what the session has read is held. Errors: those of Turn::Finish().
  Result<Generation> End(Turn& turn);
  // `parts`: where the next prompt will part from all that is held; kept as the end of the conversation's
  // last turn.
  void KeepEnd(int64_t parts);
  // The conversation begins anew.
  void ForgetTurn() { turn_end_.reset(); }

 private:
  struct Reused {
    ReadingStops stops;               // for what is left of the prompt
    int64_t tokens = 0, dropped = 0;  // GenerateStats
  };
  // Makes the session hold the beginning, and leaves the rest in `prompt`, at least one token. Error:
  // kOutOfMemory.
  Result<Reused> Reuse(PrefixKey whole, Prompt& prompt, int64_t parts);
  // The turn ended early: what the session has read of the prompt.
  void HoldWhatWasRead();
  int64_t OwnLength(const PrefixKey& prompt, int64_t most) const;
  std::vector<int64_t> Stops(const PrefixKey& prompt, int64_t parts, int64_t branch) const;
  PrefixStore::Live Keep(int64_t length, PrefixStore::Place place);

  Session::Impl& session_;
  PrefixKey held_;
  std::shared_ptr<const PrefixKey> prompt_;  // of the turn, all of it
  PrefixStore::Live turn_end_;
};

}  // namespace linnet
