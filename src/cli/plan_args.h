// Options of what only plans the memory of a model: linnet info and linnet fit.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "cli/args.h"
#include "cli/model_args.h"
#include "runtime/memory_plan.h"

namespace linnet {

struct PlanArgs {
  ModelArgs model;
  int64_t conversations = 1;
  std::optional<int32_t> image_tokens;
};

// Declares the model, its drafter, and what memory is planned for.
void DeclarePlan(Args& args, PlanArgs& values);
Result<MemoryPlanOptions> ToPlanOptions(const PlanArgs& values);
// What is planned, with a context as it is resolved: "2 conversations of 8192 tokens in bf16, 4 threads".
Result<std::string> PlanOf(const PlanArgs& values, int64_t context);

}  // namespace linnet
