// What a session has read, and how the next prompt goes on from it or from what the engine's store keeps.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "linnet/error.h"
#include "linnet/session.h"
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

  struct Reused {
    ReadingStops stops;               // for what is left of the prompt
    int64_t tokens = 0, dropped = 0;  // GenerateStats
  };
  // Makes the session hold the longest beginning of the prompt that it or the store has, and leaves the rest
  // in `prompt`, at least one token. `whole`: the prompt's key. `parts`: where the prompt after this one will
  // part from it, if that is inside. Error: kOutOfMemory.
  Result<Reused> Reuse(PrefixKey whole, Prompt& prompt, int64_t parts);

  // The prompt has been read, and these tokens after it. `parts`: where the next prompt will part from all of
  // it; kept as the end of the conversation's last turn.
  void EndTurn(std::span<const int32_t> fed);
  void KeepEnd(int64_t parts);
  // The turn ended early: what the session has read of the prompt.
  void HoldWhatWasRead();
  // The conversation begins anew.
  void ForgetTurn() { turn_end_.reset(); }

 private:
  int64_t OwnLength(const PrefixKey& prompt, int64_t most) const;
  std::vector<int64_t> Stops(const PrefixKey& prompt, int64_t parts, int64_t branch) const;
  PrefixStore::Live Keep(int64_t length, PrefixStore::Place place);

  Session::Impl& session_;
  PrefixKey held_;
  std::shared_ptr<const PrefixKey> prompt_;  // of the turn, all of it
  PrefixStore::Live turn_end_;
};

}  // namespace linnet
