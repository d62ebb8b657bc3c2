#include "server/thinking.h"

#include "runtime/engine_impl.h"
#include "runtime/thought_budget.h"

namespace linnet {
namespace {

constexpr int64_t kLowEffort = 512, kMediumEffort = 2048;  // tokens

}  // namespace

Result<Thinking> ThinkingOfEffort(const std::string& effort, const std::string& field) {
  if (effort == "none" || effort == "minimal") return Thinking{};
  if (effort == "low") return Thinking{true, kLowEffort};
  if (effort == "medium") return Thinking{true, kMediumEffort};
  if (effort == "high" || effort == "xhigh" || effort == "max") return Thinking{true, 0};
  return Fail(ErrorCode::kInvalidArgument, field + " is '" + effort + "'",
              "give none, minimal, low, medium or high");
}

void BoundThought(const ServedModel& model, const Thinking& thinking, AnswerRequest& answer) {
  if (!thinking.wanted || thinking.most == 0) return;
  answer.Hold(ThoughtBudget::Create(*model.engine.impl().tokenizer,
                                    {.vocabulary = model.engine.impl().config.vocab_size,
                                     .thought = thinking.most,
                                     .answer = model.context,
                                     .inside_thought = answer.prepared.inside_thought}));
}

}  // namespace linnet
