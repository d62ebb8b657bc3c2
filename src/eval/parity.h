// `linnet parity`: runs a directory of reference data and says how far Linnet is from it. The form of such a
// directory is documented in docs/parity.md.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "linnet/error.h"

namespace linnet {

enum class CaseState { kPass, kFail, kNotRun };

struct ProbeResult {
  std::string name;
  double deviation = 0;  // max |a - b|, or the number of differing items for exact comparisons
  double bound = 0;
  bool pass = false;
  std::string note;  // first difference, shape mismatch, NaN …
};

struct CaseResult {
  std::string name;  // "model/text-prefill", "tokenizer/small/strings"
  CaseState state = CaseState::kNotRun;
  double deviation = 0;  // of the probe closest to or furthest beyond its bound
  double bound = 0;
  std::string note;  // why not run, what failed first, or a deliberate difference from the reference
  std::vector<ProbeResult> probes;
};

struct ParityOptions {
  std::filesystem::path model;  // instead of the model named by a case, if not empty
  bool over_plan = false;       // as LoadOptions
  int threads = 0;              // 0 = all
  std::string filter;           // run only cases whose name contains this
};

using CaseSink = std::function<void(const CaseResult&)>;

// Each takes the golden root directory, does nothing where its part is absent, and reports case by case.
Status RunModelCases(const std::filesystem::path& root, const ParityOptions& options, const CaseSink& sink);
Status RunTokenizerCases(const std::filesystem::path& root, const ParityOptions& options,
                         const CaseSink& sink);
Status RunChatCases(const std::filesystem::path& root, const ParityOptions& options, const CaseSink& sink);
Status RunImageCases(const std::filesystem::path& root, const ParityOptions& options, const CaseSink& sink);
Status RunAudioCases(const std::filesystem::path& root, const ParityOptions& options, const CaseSink& sink);
Status RunProcessorCases(const std::filesystem::path& root, const ParityOptions& options,
                         const CaseSink& sink);
// Needs `options.model`: the checkpoint that real/cases.json names by its SHA-256; not run without it.
Status RunRealCases(const std::filesystem::path& root, const ParityOptions& options, const CaseSink& sink);
// Whether `model` is that checkpoint. The other cases are then run with their own models.
bool IsRealModel(const std::filesystem::path& root, const std::filesystem::path& model);

}  // namespace linnet
