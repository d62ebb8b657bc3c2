// Whether a plan fits the limits of the machine, the largest that does, and what to change where it does not.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "linnet/error.h"
#include "linnet/memory_plan.h"
#include "model/file_format.h"
#include "runtime/memory_plan.h"

namespace linnet {

struct FitRequest {
  PlannedModel model;  // with its `weights`, which RequireFit() alone fills in
  MemoryPlanOptions options;
  MemoryKnobs knobs = {};
  std::vector<MemoryLimit> limits;
};

// A conversation shorter than this is not worth to begin where nobody asked for it.
inline constexpr int64_t kLeastContext = 2048;

// The plan beside its limits, without remedies. Errors: those of PlanMemory.
Result<MemoryFit> FitPlan(const FitRequest& request);
// The longest context that fits with all else as asked: the model's, or a multiple of 256; 0 = none.
Result<int64_t> LargestContext(FitRequest request);
// Changes that make it fit, at most three: those that cost least in front, none that does more than another
// needs.
std::vector<MemoryRemedy> FindRemedies(const FitRequest& request);

// The same model with the matrices of its text part in another format.
struct OtherFormat {
  PlannedModel model;  // refers to `text`
  std::unique_ptr<TensorSource> text;
};
OtherFormat InFormat(const PlannedModel& model, const FileFormat& format);

// What was left open, as it fits.
struct Fitted {
  int64_t context = 0;  // 0: the usual
  int64_t conversations = 0;
  std::vector<std::string> notes;  // what somebody should know
  uint64_t left = 0;               // of the tightest limit
};
// Takes what was left open so that the plan fits. Errors: kOutOfMemory with plan, limit and remedies where
// nothing does, unless that is wanted (`over_plan`); those of PlanMemory. `name` is what a person calls the
// model.
Result<Fitted> RequireFit(FitRequest request, const std::string& name, bool fewer_conversations,
                          bool over_plan);

// The same for what a load asks for, on this machine as it is now.
Result<Fitted> RequireFit(const PlannedModel& model, const LoadOptions& load, const std::string& name);

}  // namespace linnet
