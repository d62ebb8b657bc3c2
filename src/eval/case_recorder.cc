#include "eval/case_recorder.h"

#include <cmath>
#include <limits>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/mapped_file.h"
#include "io/json.h"

namespace linnet {

void CaseRecorder::Exact(std::string probe, int64_t differing, std::string note) {
  Within(std::move(probe), static_cast<double>(differing), 0, std::move(note));
}

void CaseRecorder::Within(std::string probe, double deviation, double bound, std::string note) {
  const bool pass = deviation <= bound;  // false for NaN
  const double share = pass && deviation == 0 ? 0
                       : pass                 ? deviation / bound
                                              : std::numeric_limits<double>::infinity();
  if (share > worst_) {
    worst_ = share;
    result_.deviation = deviation;
    result_.bound = bound;
  }
  if (!pass && first_failure_.empty())
    first_failure_ = note.empty() ? probe : fmt::format("{}: {}", probe, note);
  result_.probes.push_back({std::move(probe), deviation, bound, pass, std::move(note)});
}

void CaseRecorder::Note(const std::string& note) {
  if (!notes_.empty()) notes_ += "; ";
  notes_ += note;
}

CaseResult CaseRecorder::Finish() {
  result_.state = result_.probes.empty()   ? CaseState::kNotRun
                  : first_failure_.empty() ? CaseState::kPass
                                           : CaseState::kFail;
  result_.note = first_failure_;
  if (!notes_.empty()) result_.note += (result_.note.empty() ? "" : "; ") + notes_;
  return std::move(result_);
}

bool Wanted(const ParityOptions& options, const std::string& name) {
  return options.filter.empty() || name.find(options.filter) != std::string::npos;
}

void SkipCase(const CaseSink& sink, const ParityOptions& options, std::string name, std::string why) {
  if (!Wanted(options, name)) return;
  CaseResult result;
  result.name = std::move(name);
  result.note = std::move(why);
  sink(result);
}

Status ForEachRow(const std::filesystem::path& path,
                  const std::function<Status(const nlohmann::json&)>& row) {
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) return {};
  LINNET_ASSIGN(const MappedFile file, MappedFile::Open(path));
  std::string_view rest(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
  for (int64_t number = 1; !rest.empty(); ++number) {
    const size_t end = rest.find('\n');
    const std::string_view line = rest.substr(0, end);
    rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
    if (line.empty()) continue;
    const std::string where = fmt::format("{} line {}", path.string(), number);
    LINNET_ASSIGN(const nlohmann::json json, ParseJson(line, where));
    try {
      LINNET_TRY(row(json));
    } catch (const nlohmann::json::exception& error) {
      return Fail(ErrorCode::kBadFile, fmt::format("{}: {}", where, error.what()),
                  "see docs/parity.md for the fields");
    }
  }
  return {};
}

}  // namespace linnet
