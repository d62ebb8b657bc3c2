// linnet quantise: a smaller file of a model, and what making it lost.
#include "linnet/quantise.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "base/printable.h"
#include "cli/commands.h"
#include "cli/model_args.h"
#include "cli/report.h"

namespace linnet {
namespace {

struct QuantiseArgs {
  QuantiseOptions options;
  std::string threads = "auto";
  bool list = false;         // every matrix
  bool no_feedback = false;  // see --help
};

// How many matrices, of how many bytes, have become what.
void PrintFormats(const QuantiseReport& report) {
  struct Group {
    size_t matrices = 0;
    uint64_t bytes = 0;
    double worst = 0;
    std::string worst_name;
  };
  std::map<std::pair<std::string, std::string>, Group> groups;
  for (const QuantisedMatrix& matrix : report.matrices) {
    Group& group = groups[{matrix.before, matrix.after}];
    ++group.matrices;
    group.bytes += matrix.bytes;
    if (matrix.error <= group.worst) continue;
    group.worst = matrix.error;
    group.worst_name = matrix.name;
  }
  for (const auto& [formats, group] : groups) {
    std::string line = fmt::format("{:>5} matrices {:>8} -> {:<8} {:>10}", group.matrices, formats.first,
                                   formats.second, HumanBytes(group.bytes));
    if (group.worst > 0) {
      line += fmt::format("  largest relative squared error {:.2g} ({})", group.worst,
                          Printable(group.worst_name));
    }
    Write(line + "\n");
  }
}

void PrintMatrices(const QuantiseReport& report) {
  for (const QuantisedMatrix& matrix : report.matrices) {
    Write(fmt::format("{:<32} {:>8} -> {:<8} {:>10}  error {:.3g}, {:.1f} % of the blocks on a lattice\n",
                      Printable(matrix.name), matrix.before, matrix.after, HumanBytes(matrix.bytes),
                      matrix.error, 100 * matrix.exact));
  }
}

Result<int> Run(QuantiseArgs args) {
  LINNET_ASSIGN(args.options.threads, ThreadsOf(args.threads));
  args.options.feedback = !args.no_feedback;
  ProgressLine progress;
  LINNET_ASSIGN(const QuantiseReport report, Quantise(args.options, progress.WithTimeLeft()));
  progress.Clear();
  if (args.list) PrintMatrices(report);
  PrintFormats(report);
  for (const std::string& note : report.notes) Write("note: " + Printable(note) + "\n");
  for (const QuantisedFile& file : report.files) {
    Write(fmt::format("{} {} ({})\n", args.options.dry_run ? "would write" : "wrote", Printable(file.path),
                      HumanBytes(file.bytes)));
  }
  return kExitDone;
}

}  // namespace

Command QuantiseCommand() {
  return {
      .name = "quantise",
      .summary = "write a smaller file of a model",
      .declare =
          [](Args& args) {
            auto values = std::make_shared<QuantiseArgs>();
            QuantiseOptions& options = values->options;
            args.Positional("IN", options.input,
                            "a Hugging Face directory, a GGUF file, or a drafter's directory");
            args.Positional("OUT", options.output, "the text model's file, ending in .gguf");
            args.Option("--mix,--type", options.mix,
                        fmt::format("formats of the matrices: {}; or a number format for all of them",
                                    fmt::join(QuantiseMixes(), ", ")));
            args.Option("--table", options.table, "format of the embedding table, which is also the head");
            args.Option(
                "--importance", options.importance,
                "a file of importances, as llama.cpp's imatrix: inputs that matter more are kept closer");
            args.Option("--calibrate", options.calibration,
                        "texts that the model reads first, to keep closest what they need: a text, chats as "
                        ".jsonl, or 'builtin'; may be given several times");
            args.Option("--calibrate-with", options.reader,
                        "the model that reads them, a smaller file of the same: where memory is short");
            args.Option("--save-importance", options.save_importance,
                        "write the importances that were found: NAME.gguf, or NAME.dat in the older form");
            args.Flag("--no-feedback", values->no_feedback,
                      "take the importance alone from the texts; errors are not made good by other inputs");
            args.Flag("--dry-run", options.dry_run,
                      "say what would be written, and how large; write nothing");
            args.Flag("--list", values->list, "print a line for every matrix");
            args.Flag("--force", options.overwrite, "replace files that exist");
            DeclareThreads(args, values->threads);
            args.Footer(
                "Weights that were trained for four bits keep their values in q4_0, whatever else is asked.\n"
                "Models larger than the memory are read a piece at a time.\n"
                "Examples:\n  linnet quantise gemma-4-12B-it 12b-q4_k_m.gguf\n"
                "  linnet quantise gemma-4-12b-it-qat-q4_0-unquantized 12b-qat.gguf --mix q4_0\n"
                "  linnet quantise 12b-bf16.gguf 12b-iq4_xs.gguf --mix iq4_xs --importance imatrix.gguf\n"
                "  linnet quantise 12b-bf16.gguf 12b-q4_0.gguf --mix q4_0 --calibrate builtin --calibrate "
                "chats.jsonl\n");
            return [values] { return Run(*values); };
          },
      .alias = "quantize"};
}

}  // namespace linnet
