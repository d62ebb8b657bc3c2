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
#include "cli/text_input.h"
#include "eval/perplexity.h"
#include "eval/report.h"
#include "quant/calibrate.h"
#include "quant/calibration_texts.h"

namespace linnet {
namespace {

constexpr size_t kMaxVerifyBytes = size_t{1} << 26;

struct QuantiseArgs {
  QuantiseOptions options;
  std::string threads = "auto";
  std::set<std::string> given;
  bool list = false;                // every matrix
  bool no_feedback = false;         // see --help
  std::vector<std::string> verify;  // texts
  std::string to, max_shard;
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

// What of the original's distributions is left, text by text: those of files, or those that Linnet brings
// along.
Result<PerplexityResult> Verify(const QuantiseArgs& args) {
  ModelArgs tested, original;
  tested.threads = original.threads = args.threads;
  tested.model = args.options.output;
  original.model = args.options.reader.empty() ? args.options.input : args.options.reader;
  tested.draft = original.draft = "0";
  MemoryUse use{.session = {.kv = KvType::kF32}, .usual_context = kScoredContext};
  use.image_tokens = use.sound_seconds = 0;
  LINNET_ASSIGN(const std::unique_ptr<Engine> engine, LoadModel(tested, use));
  LINNET_ASSIGN(const std::unique_ptr<Engine> reference, LoadModel(original, use));
  std::vector<TokenText> texts;
  for (const std::string& path : args.verify) {
    if (path == kBuiltInTexts) {
      for (const HeldOutText& text : HeldOutTexts()) {
        texts.push_back({std::string(text.name), engine->Tokenise(text.text)});
      }
      continue;
    }
    LINNET_ASSIGN(const std::string text, ReadTextFile(path, kMaxVerifyBytes));
    texts.push_back({path, engine->Tokenise(text)});
  }
  ProgressLine progress;
  Result<PerplexityResult> result =
      MeasurePerplexity(*engine, reference.get(), texts, {}, progress.WithTimeLeft());
  progress.Clear();
  return result;
}

Result<int> Run(QuantiseArgs args) {
  LINNET_ASSIGN(args.options.threads, ThreadsOf(args.threads));
  args.options.feedback = !args.no_feedback;
  if (!args.to.empty()) {
    LINNET_TRY(CheckUseful(
        args.given,
        {{{"--mix", "--type", "--table"}, false, "is for files of a mix, --to chooses the formats"}}));
    LINNET_ASSIGN(args.options.to_bytes, BytesIn("--to", args.to));
  }
  if (!args.max_shard.empty()) {
    LINNET_ASSIGN(args.options.max_shard, BytesIn("--max-shard-size", args.max_shard));
  }
  LINNET_TRY(CheckUseful(
      args.given, {{{"--verify"}, !args.options.dry_run, "needs a file, which a dry run does not write"}}));
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
  if (args.verify.empty()) return kExitDone;
  LINNET_ASSIGN(const PerplexityResult verified, Verify(args));
  const std::string original = args.options.reader.empty() ? args.options.input : args.options.reader;
  Write(AsText(verified, {args.options.output, original}));
  return kExitDone;
}

// What is to be known of the inputs of matrices.
void DeclareCalibration(Args& args, QuantiseArgs& values) {
  QuantiseOptions& options = values.options;
  args.Option("--importance", options.importance,
              "a file of importances, as llama.cpp's imatrix: inputs that matter more are kept closer");
  args.Option("--calibrate", options.calibration,
              "what the model reads first, to keep closest what this needs: a text, chats as "
              ".jsonl, a picture, a sound, a video, or 'builtin'; may be given several times");
  args.Option("--calibrate-with", options.reader,
              "the model that reads them, a smaller file of the same: where memory is short");
  args.Option("--save-importance", options.save_importance,
              "write the importances that were found: NAME.gguf, or NAME.dat in the older form");
  args.Flag("--no-feedback", values.no_feedback,
            "take the importance alone from the texts; errors are not made good by other inputs");
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
            args.Given(values->given);
            args.Positional("IN", options.input,
                            "a Hugging Face directory, a GGUF file, or a drafter's directory");
            args.Positional("OUT", options.output,
                            "the text model's file, ending in .gguf, or a new directory");
            args.Option(
                "--mix,--type", options.mix,
                fmt::format("formats of the matrices: {}; or a number format for all of them; for a "
                            "directory {}",
                            fmt::join(QuantiseMixes(), ", "), fmt::join(QuantiseDirectoryForms(), ", ")));
            args.Option("--max-shard-size", values->max_shard,
                        "the most that the tensors in one file take, as 2GB: larger models are cut "
                        "(directories: 5GB)");
            args.Option(
                "--to", values->to,
                "the largest size of the file, as 6.5GB: formats are chosen by what each matrix loses");
            args.Option("--table", options.table, "format of the embedding table, which is also the head");
            args.Option(
                "--projections", options.projections,
                "format of what projects pictures and sounds, in mmproj-OUT: q8_0 …; bf16 unless given");
            DeclareCalibration(args, *values);
            args.Option("--verify", values->verify,
                        "measure at the end what the file has lost, on texts of which nothing was "
                        "calibrated; or 'builtin'; may be given several times");
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
                "chats.jsonl\n"
                "  linnet quantise gemma-4-12B-it gemma-4-12B-it-4bit --mix mlx-4bit-g64\n");
            return [values] { return Run(*values); };
          },
      .alias = "quantize"};
}

}  // namespace linnet
