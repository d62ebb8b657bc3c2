// Many answers at once: turns join and leave between steps; each step computes the next rows of all of them
// in one call of the decoder, so that the weights are read once for all. Prompts are read in pieces beside
// turns that write, and drafts of several turns are verified together.
//
// Invariant: each turn's answer is, byte for byte, the one it gives alone.
//
// Thread safety: one thread at a time, that of its engine.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "linnet/engine.h"
#include "linnet/error.h"
#include "model/step.h"
#include "runtime/turn.h"

namespace linnet {

struct SchedulerOptions {
  int64_t turns = 16;               // at most at once
  int64_t prompt_rows = 512;        // of all prompts in a step, while no turn writes
  int64_t prompt_rows_beside = 64;  // while some do: they wait for so many at a time
};

class Scheduler {
 public:
  // The engine must outlive it. Errors: kInvalidArgument, kOutOfMemory.
  static Result<Scheduler> Create(Engine& engine, const SchedulerOptions& options);

  bool full() const { return static_cast<int64_t>(turns_.size()) >= options_.turns; }
  bool empty() const { return turns_.empty(); }

  // The turn takes part from the next step on until it is done. It must outlive that, and be of a session
  // that no other turn uses. Error: kOutOfMemory. REQUIRES: !full().
  Status Add(Turn& turn);
  // Takes it out before it is done.
  void Remove(Turn& turn);

  // One step of all turns. Turns that are done, in whatever way, have left afterwards; what is wrong with one
  // is for it alone to tell. Returns those that left; valid until the next call.
  std::span<Turn* const> RunStep();

 private:
  Scheduler(Engine& engine, const SchedulerOptions& options) : engine_(engine), options_(options) {}

  Engine& engine_;
  SchedulerOptions options_;
  std::vector<Turn*> turns_, left_, in_step_;
  std::unique_ptr<Step> step_ = std::make_unique<Step>();
};

// Rows of logits that a step of so many turns may want, and of the step itself beside those of prompts.
int64_t WantedRows(int64_t turns);

// What a scheduler's step has room for.
struct StepSize {
  int64_t rows = 0, wanted = 0;
};
StepSize LargestStep(const SchedulerOptions& options, int64_t largest_block);

struct StepTurns {
  std::span<Turn* const> all;
  std::span<Turn*> in_step;  // working memory: as many
};

// One step of the turns that are not done. Cancels those whose flag is set. REQUIRES: `step` and the decoder
// have room for the prompts' rows with the largest block behind them, and for WantedRows().
void RunTurns(Engine::Impl& engine, Step& step, const StepTurns& turns, const SchedulerOptions& options);

}  // namespace linnet
