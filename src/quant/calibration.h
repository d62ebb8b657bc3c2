// What is learnt of the inputs of a model's matrices while it reads: how large each is, and which go
// together.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "model/config.h"
#include "model/probe.h"
#include "ops/context.h"
#include "quant/error_feedback.h"
#include "quant/importance.h"

namespace linnet {

struct CalibrationRules {
  bool first_positions = false;  // count the first token of each text: its inputs dwarf all others
  bool products = true;          // which inputs go together, for error feedback
  int64_t columns = 0;           // looked at together, of wider inputs too; 0 = all
};

class Calibration : public Probe {
 public:
  Calibration(const ModelConfig& config, const CalibrationRules& rules, std::shared_ptr<ThreadPool> pool,
              const KernelTable& kernels);
  ~Calibration() override;

  const CalibrationRules& rules() const { return rules_; }
  // What the sums take.
  static uint64_t PlannedBytes(const ModelConfig& config, const CalibrationRules& rules);

  // The rows of the next call are the first of a text.
  void BeginText() { at_first_ = true; }
  // Or not.
  void GoOn() { at_first_ = false; }
  void See(std::string_view name, int64_t layer, Rows rows) override;

  // By the names of matrices in GGUF; the head's as "output.weight".
  Importance importance() const;
  // Of the matrix of this name in GGUF; nullptr where nothing is known of it.
  std::shared_ptr<const Feedback> FeedbackOf(std::string_view name);

 private:
  struct Input;
  Input* InputOf(std::string_view probe, int64_t layer);
  void AddProducts(Input& input, Rows rows);

  const CalibrationRules rules_;
  const std::shared_ptr<ThreadPool> pool_;
  OpContext context_;
  std::vector<std::unique_ptr<Input>> inputs_;
  bool at_first_ = false;
  std::vector<float> transposed_, sums_;  // scratch
};

}  // namespace linnet
