// The memory of a model and its conversations before anything is loaded. Each number comes from the list that
// the buffers' owner allocates them by.
#pragma once

#include <cstdint>

#include "io/tensor_source.h"
#include "linnet/error.h"
#include "linnet/memory_plan.h"
#include "linnet/options.h"
#include "model/config.h"
#include "model/model_files.h"
#include "text/tokenizer.h"

namespace linnet {

// A model that is opened but not loaded. Only the sizes of its tensors are looked at.
struct PlannedModel {
  const ModelConfig* config = nullptr;
  const TensorSource* text = nullptr;
  const TensorSource* multimodal = nullptr;       // may be null
  const DrafterConfig* drafter_config = nullptr;  // null: there is none, or it is not used
  const TensorSource* drafter = nullptr;
  const Tokenizer* tokenizer = nullptr;  // null: not counted
};
// Counts a drafter that belongs to the model.
PlannedModel ToPlan(const ModelFiles& files, const Tokenizer* tokenizer);

struct MemoryPlanOptions {
  SessionOptions session;
  int64_t sessions = 1;
  int threads = 0;              // as LoadOptions
  bool dequantise = false;      // as LoadOptions
  int64_t picture_tokens = -1;  // of the largest picture; -1 = the model's default, 0 = none is read
  int64_t sound_seconds = 30;   // of the longest piece of sound; 0 = none is heard
  uint64_t process_bytes = 0;   // what the program itself holds
};

// With every cache full, and in the midst of the largest step. Errors: kInvalidArgument for options that a
// session would refuse as well.
Result<MemoryPlan> PlanMemory(const PlannedModel& model, const MemoryPlanOptions& options);

}  // namespace linnet
