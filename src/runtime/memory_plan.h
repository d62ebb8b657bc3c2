// The memory of a model and its conversations before anything is loaded. Each number comes from the list that
// the buffers' owner allocates them by.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "io/tensor_source.h"
#include "linnet/error.h"
#include "linnet/memory_plan.h"
#include "linnet/options.h"
#include "model/config.h"
#include "model/model_files.h"
#include "model/weights.h"
#include "text/tokenizer.h"

namespace linnet {

// A model that is opened but not loaded. Only the sizes of its tensors are looked at.
struct PlannedModel {
  const ModelConfig* config = nullptr;
  const TensorSource* text = nullptr;
  const TensorSource* multimodal = nullptr;       // may be null
  const DrafterConfig* drafter_config = nullptr;  // null: there is none, or it is not used
  const TensorSource* drafter = nullptr;
  const Tokenizer* tokenizer = nullptr;     // that this process holds; null: not counted
  std::optional<WeightBytes> weights = {};  // of WeightsOf(), for many plans of one model
};
// Of the model without its drafter.
WeightBytes WeightsOf(const PlannedModel& model, bool dequantise);
// Counts a drafter that belongs to the model.
PlannedModel ToPlan(const ModelFiles& files, const Tokenizer* tokenizer);

struct MemoryPlanOptions {
  SessionOptions session;
  int64_t usual_context = kUsualContext;  // of a session that asks for none
  int64_t sessions = 1;
  int64_t tokens = 0;              // as MemoryUse
  int threads = 0;                 // as LoadOptions
  bool dequantise = false;         // as LoadOptions
  int64_t picture_tokens = -1;     // of the largest picture; -1 = the model's default, 0 = none is read
  int64_t sound_seconds = 30;      // of the longest piece of sound; 0 = none is heard
  uint64_t process_bytes = 0;      // what the program itself holds
  std::vector<MemoryLine> others;  // what it is going to take beside the model
  bool weights_alone = false;      // no conversation yet
  uint64_t cache_ram = 0;          // of the store of prefixes
};
MemoryPlanOptions ToPlan(const LoadOptions& load);

// With every cache full, and in the midst of the largest step. Errors: kInvalidArgument for options that a
// session would refuse as well.
Result<MemoryPlan> PlanMemory(const PlannedModel& model, const MemoryPlanOptions& options);

}  // namespace linnet
