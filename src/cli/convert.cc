// linnet convert: a model as GGUF files, in another number format.
#include <fmt/core.h>

#include <memory>
#include <set>
#include <string>
#include <utility>

#include "base/cpu_info.h"
#include "base/printable.h"
#include "cli/commands.h"
#include "cli/model_args.h"
#include "cli/report.h"
#include "quant/convert.h"

namespace linnet {
namespace {

struct ConvertArgs {
  ConvertOptions options;
  std::string type = "auto";
  std::string model;  // --model, in the place of IN
  std::string threads = "auto";
  std::set<std::string> given;
};

// With --model the only file is OUT.
Status SortFiles(ConvertArgs& args) {
  ConvertOptions& options = args.options;
  if (!args.model.empty()) {
    if (!options.output.empty()) {
      return Fail(ErrorCode::kInvalidArgument, "--model and IN are given", "name the model once");
    }
    options.output = std::exchange(options.input, args.model);
  }
  if (!options.input.empty() && !options.output.empty()) return {};
  return Fail(ErrorCode::kInvalidArgument, "IN and OUT are needed", "name a model and the file to write");
}

Result<int> Run(ConvertArgs args) {
  LINNET_TRY(SortFiles(args));
  const bool synthetic = args.options.input.starts_with("synthetic:");
  LINNET_TRY(
      CheckUseful(args.given, {{{"--type"}, !synthetic, "is not for made-up weights, whose name says it"}}));
  LINNET_ASSIGN(const int wanted, ThreadsOf(args.threads));
  LINNET_ASSIGN(const int threads, ThreadCount(wanted));
  args.options.keep_types = args.type == "keep" || (args.type == "auto" && args.options.pack);
  args.options.type = DtypeFromName(args.type).value_or(Dtype::kBf16);
  ThreadPool pool(threads);
  ProgressLine progress;
  LINNET_ASSIGN(const ConvertReport report, ConvertModel(args.options, pool, progress.AsCallback()));
  progress.Clear();
  for (const std::string& note : report.notes) Write("note: " + Printable(note) + "\n");
  for (const ConvertedFile& file : report.files)
    Write(fmt::format("wrote {} ({})\n", Printable(file.path), HumanBytes(file.bytes)));
  return kExitDone;
}

}  // namespace

Command ConvertCommand() {
  return {"convert", "write a model as GGUF files", [](Args& args) {
            auto values = std::make_shared<ConvertArgs>();
            args.Given(values->given);
            args.Positional(
                "IN", values->options.input,
                "a Hugging Face directory, a GGUF file, a drafter's directory, or synthetic:12b:q4_0", false);
            args.Positional("OUT", values->options.output, "the text model's file, ending in .gguf", false);
            args.Option("--model", values->model, "the same as IN");
            args.Choice(
                "--type", values->type, {"auto", "keep", "bf16", "f16", "f32", "q8_0", "q4_0"},
                "number format of the matrices; auto = bf16, keep and with --pack auto = the one they have");
            args.Flag("--pack", values->options.pack,
                      "write the matrices in the kernels' own layout, used in place: starts at once, only "
                      "Linnet reads it");
            args.Flag("--force", values->options.overwrite, "replace files that exist");
            DeclareThreads(args, values->threads);
            args.Footer(
                "The multimodal parts of a directory go to mmproj-OUT beside OUT, where `linnet run OUT` "
                "finds them.\n"
                "Examples:\n  linnet convert gemma-4-12b-it 12b.gguf --type q8_0\n"
                "  linnet convert models/chick chick.gguf --type bf16\n"
                "  linnet convert 12b-q4_0.gguf 12b-packed.gguf --pack\n");
            return [values] { return Run(*values); };
          }};
}

}  // namespace linnet
