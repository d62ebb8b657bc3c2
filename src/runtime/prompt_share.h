// How many rows of prompts a step takes beside turns that write, so that these wait hardly longer for their
// next token than without: measured, as it depends on the model, the machine and how many write.
//
// Thread safety: one thread at a time.
#pragma once

#include <cstdint>
#include <vector>

namespace linnet {

class PromptShare {
 public:
  // `turns`: how many may write at most.
  explicit PromptShare(int64_t turns) : usual_(static_cast<size_t>(turns) + 1) {}

  // For the next step, in which so many write: 1 to `most`; 0 now and then, where what a step takes without
  // any was not measured for long.
  int64_t Rows(int64_t writing, int64_t most);
  // Seconds that such a step has left beside so many rows of prompts; below 0 where these take more.
  double SecondsLeft(int64_t writing, int64_t rows) const;
  // What a step took in which so many wrote, with so many rows of prompts.
  void Took(int64_t writing, int64_t rows, double seconds);

 private:
  double Usual(int64_t writing) const;

  std::vector<double> usual_;  // seconds of a step without prompts, by how many write; 0 = unknown
  double row_seconds_ = 0;     // what a row adds to it; 0 = unknown
  int64_t unmeasured_ = 0;     // steps since the last one without prompts
};

}  // namespace linnet
