// A model reads texts, and what its matrices get of them is summed up.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "linnet/error.h"
#include "linnet/options.h"
#include "quant/calibration.h"

namespace linnet {

inline constexpr int64_t kCalibrationWindow = 512;  // tokens read at once

// The name that stands for the texts that Linnet brings along.
inline constexpr char kBuiltInTexts[] = "builtin";

struct CalibrateOptions {
  std::string model;  // as LoadOptions::model
  // Texts; files of chats (.jsonl): each line an object with `messages` as OpenAI has them, or such a list,
  // or an object with `text`; or kBuiltInTexts. Pictures, sounds and videos: each as a message of a user.
  std::vector<std::string> texts;
  CalibrationRules rules;
  bool fit_columns = true;  // as many columns of a block as memory has room for, `rules.columns` is ignored
  bool dequantise = false;  // as LoadOptions has it
  int threads = 0;
};

struct CalibrationRun {
  std::unique_ptr<Calibration> calibration;
  int64_t tokens = 0, windows = 0;
  int64_t columns = 0;  // of a block; 0 = all
  int64_t media = 0;
  std::vector<std::string> notes;  // what became of media
};

// Errors: those of Engine::Load; kNotFound, kBadFile for texts; kInvalidArgument for texts that hold nothing.
Result<CalibrationRun> Calibrate(const CalibrateOptions& options, const Progress& progress = {});

}  // namespace linnet
