// linnet convert: a model as GGUF files, in another number format.
#include <fmt/core.h>

#include <memory>
#include <string>

#include "base/cpu_info.h"
#include "cli/commands.h"
#include "cli/report.h"
#include "runtime/convert.h"

namespace linnet {
namespace {

struct ConvertArgs {
  ConvertOptions options;
  std::string type = "auto";
  int64_t threads = 0;
};

int Run(ConvertArgs args) {
  args.options.keep_types = args.type == "auto" && args.options.pack;
  args.options.type = DtypeFromName(args.type).value_or(Dtype::kBf16);
  ThreadPool pool(args.threads > 0 ? static_cast<int>(args.threads) : GetCpuInfo().cores);
  ProgressLine progress;
  const Result<ConvertReport> report = ConvertModel(args.options, pool, progress.AsCallback());
  progress.Clear();
  if (!report) return Report(report.error());
  for (const std::string& note : report->notes) Write("note: " + note + "\n");
  for (const ConvertedFile& file : report->files)
    Write(fmt::format("wrote {} ({})\n", file.path, HumanBytes(file.bytes)));
  return FlushOutput();
}

}  // namespace

Command ConvertCommand() {
  return {"convert", "write a model as GGUF files", [](Args& args) {
            auto values = std::make_shared<ConvertArgs>();
            args.Positional(
                "IN", values->options.input,
                "a Hugging Face directory, a GGUF file, a drafter's directory, or synthetic:12b:q4_0");
            args.Positional("OUT", values->options.output, "the text model's file, ending in .gguf");
            args.Choice("--type", values->type, {"auto", "bf16", "f32", "q8_0", "q4_0"},
                        "number format of the matrices; auto = bf16, with --pack the one they have");
            args.Flag("--pack", values->options.pack,
                      "write the matrices in the kernels' own layout, used in place: starts at once, only "
                      "Linnet reads it");
            args.Flag("--force", values->options.overwrite, "replace files that exist");
            args.Option("-t,--threads", values->threads, "threads; 0 = one a fast physical core");
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
