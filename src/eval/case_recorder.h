// Private to src/eval: builds a CaseResult probe by probe, and reads the JSON lines of reference data.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "eval/parity.h"
#include "linnet/error.h"

namespace linnet {

class CaseRecorder {
 public:
  explicit CaseRecorder(std::string name) { result_.name = std::move(name); }

  // An exact comparison: `differing` items, 0 to pass.
  void Exact(std::string probe, int64_t differing, std::string note = {});
  // A bounded one; NaN fails.
  void Within(std::string probe, double deviation, double bound, std::string note = {});
  // Something to say whether it passes or not: a deliberate difference, what is left out.
  void Note(const std::string& note);

  // Passed if every probe did; not run if there was none.
  CaseResult Finish();

 private:
  CaseResult result_;
  double worst_ = -1;
  std::string first_failure_, notes_;
};

// Whether a case of this name is asked for.
bool Wanted(const ParityOptions& options, const std::string& name);
void SkipCase(const CaseSink& sink, const ParityOptions& options, std::string name, std::string why);

// Calls `row` for every line of a file that is there; a missing file is no error. A line that is not JSON, or
// a row that lacks a field or has one of another type, is kBadFile with file and line.
Status ForEachRow(const std::filesystem::path& path, const std::function<Status(const nlohmann::json&)>& row);

}  // namespace linnet
