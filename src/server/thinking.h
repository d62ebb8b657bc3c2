// Whether and how much a model thinks before it answers, as clients ask for it.
#pragma once

#include <cstdint>
#include <string>

#include "linnet/error.h"
#include "server/protocol.h"

namespace linnet {

struct Thinking {
  bool wanted = false;
  int64_t most = 0;  // tokens; 0 = as many as the model likes
};

// Of an effort: "none" and "minimal" do without, "low" and "medium" have a bound, "high" and what lies above
// has none. Errors, kInvalidArgument: another word; `field` is its place.
Result<Thinking> ThinkingOfEffort(const std::string& effort, const std::string& field);

// Sees to the bound in an answer that is going to be asked for.
void BoundThought(const ServedModel& model, const Thinking& thinking, AnswerRequest& answer);

}  // namespace linnet
