// Many answers at once: turns join and leave between steps; each step computes the next rows of all of them
// in one call of the decoder, so that the weights are read once for all. Prompts are read in pieces beside
// turns that write, and drafts of several turns are verified together.
//
//   Turn* turn = *conversation.Begin(options); scheduler.Add(*turn); …
//   while (!scheduler.empty()) {
//     for (Turn* done : scheduler.RunStep()) …  // Conversation::End() of it
//     … turn->TakeEvents() …
//   }
//
// Invariant: each turn's answer is, byte for byte, the one it gives alone.
//
// Thread safety: one thread at a time, that of its engine.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "linnet/engine.h"
#include "linnet/error.h"
#include "linnet/export.h"
#include "linnet/turn.h"

namespace linnet {

struct SchedulerOptions {
  int64_t turns = 16;               // at most at once
  int64_t prompt_rows = 512;        // of all prompts in a step, while no turn writes
  int64_t prompt_rows_beside = 64;  // while some do: they wait for so many at a time
  // As few of them, as measured, that who writes waits for a token hardly twice as long as usual; pictures,
  // which cannot be cut, are read some layers at a time. For who reads along; without it all is done sooner.
  bool steady = false;
};

class LINNET_API Scheduler {
 public:
  // The engine must outlive it. Errors: kInvalidArgument, kOutOfMemory.
  static Result<Scheduler> Create(Engine& engine, const SchedulerOptions& options = {});
  Scheduler(Scheduler&&) noexcept;
  Scheduler& operator=(Scheduler&&) noexcept;
  ~Scheduler();

  bool full() const;
  bool empty() const;

  // The turn takes part from the next step on until it is done. It must outlive that, and be of a session
  // that no other turn uses. Errors: kInvalidArgument when it is full, kOutOfMemory.
  Status Add(Turn& turn);
  // Takes it out before it is done.
  void Remove(Turn& turn);

  // One step of all turns. Turns that are done, in whatever way, have left afterwards; what is wrong with one
  // is for it alone to tell. Returns those that left; valid until the next call.
  std::span<Turn* const> RunStep();

 private:
  struct Impl;
  explicit Scheduler(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace linnet
