// linnet parity: runs reference data through Linnet and says how far it is from it.
#include <fmt/core.h>

#include <filesystem>
#include <string>
#include <vector>

#include "cli/commands.h"
#include "cli/model_args.h"
#include "cli/report.h"
#include "eval/parity.h"

namespace linnet {
namespace {

struct ParityArgs {
  std::vector<std::string> paths;
  std::string model;
  std::string filter;
  std::string threads = "auto";
  bool over_plan = false;
  bool verbose = false;
};

struct Totals {
  int passed = 0, failed = 0, not_run = 0;
};

std::string Deviation(double deviation, double bound) {
  return bound == 0 ? fmt::format("{:.0f} differ (exact)", deviation)
                    : fmt::format("{:.3g} of {:.3g}", deviation, bound);
}

void Print(const CaseResult& result, bool verbose, Totals& totals) {
  switch (result.state) {
    case CaseState::kNotRun:
      ++totals.not_run;
      Write(fmt::format("not run  {}: {}\n", result.name, result.note));
      return;
    case CaseState::kPass:
      ++totals.passed;
      break;
    case CaseState::kFail:
      ++totals.failed;
      break;
  }
  const bool pass = result.state == CaseState::kPass;
  Write(fmt::format("{}     {}: {}{}{}\n", pass ? "pass" : "FAIL", result.name,
                    Deviation(result.deviation, result.bound), result.note.empty() ? "" : "; ", result.note));
  if (!verbose) return;
  for (const ProbeResult& probe : result.probes) {
    Write(fmt::format("  {}   {}: {}{}{}\n", probe.pass ? "pass" : "FAIL", probe.name,
                      Deviation(probe.deviation, probe.bound), probe.note.empty() ? "" : "; ", probe.note));
  }
}

Status RunPath(const std::filesystem::path& root, const ParityOptions& options, const CaseSink& sink) {
  std::error_code ignored;
  if (!std::filesystem::is_directory(root, ignored)) {
    return Fail(ErrorCode::kNotFound, fmt::format("{} is not a directory", root.string()),
                "give a directory of reference data (docs/parity.md)");
  }
  ParityOptions model_options = options;
  if (IsRealModel(root, options.model)) model_options.model.clear();
  LINNET_TRY(RunModelCases(root, model_options, sink));
  LINNET_TRY(RunRealCases(root, options, sink));
  LINNET_TRY(RunTokenizerCases(root, options, sink));
  LINNET_TRY(RunChatCases(root, options, sink));
  LINNET_TRY(RunImageCases(root, options, sink));
  LINNET_TRY(RunAudioCases(root, options, sink));
  LINNET_TRY(RunProcessorCases(root, options, sink));
  return {};
}

Result<int> Run(const ParityArgs& args) {
  ParityOptions options;
  options.model = args.model;
  options.filter = args.filter;
  options.over_plan = args.over_plan;
  LINNET_ASSIGN(options.threads, ThreadsOf(args.threads));
  Totals totals;
  const CaseSink sink = [&](const CaseResult& result) { Print(result, args.verbose, totals); };
  for (const std::string& path : args.paths) LINNET_TRY(RunPath(path, options, sink));
  Write(fmt::format("{} passed, {} failed, {} not run\n", totals.passed, totals.failed, totals.not_run));
  if (totals.passed + totals.failed == 0) {
    return Fail(ErrorCode::kNotFound, "no case was run", "check the path and --filter (docs/parity.md)");
  }
  return totals.failed > 0 ? kExitFailed : kExitDone;
}

}  // namespace

Command ParityCommand() {
  return {"parity", "compare Linnet with reference data, case by case", [](Args& args) {
            auto values = std::make_shared<ParityArgs>();
            args.Positional("PATH", values->paths, "directories of reference data (docs/parity.md)");
            args.Option("--model", values->model, "use this model instead of the one a case names");
            args.Option("--filter", values->filter, "run only the cases whose name contains this");
            DeclareThreads(args, values->threads);
            DeclareOverPlan(args, values->over_plan);
            args.Flag("-v,--verbose", values->verbose, "one line for every tensor compared");
            args.Footer(
                "One line a case: the largest deviation of its bound. Exit code 1 when a case fails.\n"
                "Examples:\n  linnet parity tests/data/golden\n  linnet parity mine --model model.gguf -v "
                "--filter media\n");
            return [values] { return Run(*values); };
          }};
}

}  // namespace linnet
