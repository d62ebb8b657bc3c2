// The steps that a scheduler (linnet/scheduler.h) and a single turn (generate.cc) have in common.
#pragma once

#include <cstdint>
#include <span>

#include "linnet/scheduler.h"
#include "model/step.h"
#include "runtime/engine_impl.h"
#include "runtime/prompt_share.h"
#include "runtime/reading_aside.h"
#include "runtime/turn.h"

namespace linnet {

// Rows of logits that a step of so many turns may want, and of the step itself beside those of prompts.
int64_t WantedRows(int64_t turns);

// What a scheduler's step needs room for.
struct StepSize {
  int64_t rows = 0, wanted = 0;
};
StepSize LargestStep(const SchedulerOptions& options, int64_t largest_block);

struct StepTurns {
  std::span<Turn* const> all;
  std::span<Turn*> in_step;  // working memory: as many
  // Where those that write shall hardly wait for prompts: how much of these goes beside them, and where
  // pictures are read. Both or none.
  PromptShare* share = nullptr;
  ReadingAside* aside = nullptr;
};

// One step of the turns that are not done. Cancels those whose flag is set. REQUIRES: `step` and the decoder
// have room for LargestStep(), `aside` for the largest block.
void RunTurns(Engine::Impl& engine, Step& step, const StepTurns& turns, const SchedulerOptions& options);

}  // namespace linnet
