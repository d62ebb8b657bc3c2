// linnet perplexity: how well a model predicts texts, and what a number format costs.
#include <memory>
#include <string>
#include <vector>

#include "cli/commands.h"
#include "cli/model_args.h"
#include "cli/report.h"
#include "cli/text_input.h"
#include "eval/perplexity.h"
#include "eval/report.h"

namespace linnet {
namespace {

// The name that --compare takes instead of a file.
constexpr char kDequantised[] = "dequantised";

constexpr size_t kMaxCorpusBytes = size_t{1} << 30;

struct PerplexityArgs {
  ModelArgs model;
  std::vector<std::string> texts;
  std::string compare;
  bool json = false;
};

Result<std::vector<TokenText>> Tokenise(const std::vector<std::string>& paths, const Engine& engine,
                                        const Engine* reference) {
  std::vector<TokenText> texts;
  for (const std::string& path : paths) {
    LINNET_ASSIGN(const std::string text, ReadTextFile(path, kMaxCorpusBytes));
    texts.push_back({path, engine.Tokenise(text)});
    if (reference != nullptr && reference->Tokenise(text) != texts.back().ids) {
      return Fail(ErrorCode::kInvalidArgument, "the two models cut " + path + " into different tokens",
                  "compare two files of the same model");
    }
  }
  return texts;
}

// `models`: what is read with this one's cache beside it.
MemoryUse UseOf(const PerplexityArgs& args, const SessionOptions& session, int64_t models) {
  MemoryUse use{.session = session, .usual_context = kScoredContext, .conversations = models};
  use.image_tokens = use.sound_seconds = 0;
  use.knobs.drafter = "";
  use.knobs.kv = args.model.kv == "f32" && models == 1 ? "--kv bf16" : "";
  return use;
}

// Its cache is float32, that of the tested model still to be filled.
Result<std::unique_ptr<Engine>> LoadReference(const PerplexityArgs& args, SessionOptions session) {
  session.kv = KvType::kF32;
  ModelArgs model = args.model;
  model.dequantise = args.compare == kDequantised;
  if (!model.dequantise) model.model = args.compare;
  return LoadModel(model, UseOf(args, session, 2));
}

// Without --model the first file is the model.
Status SortFiles(PerplexityArgs& args) {
  if (args.model.model.empty() && !args.texts.empty()) {
    args.model.model = args.texts.front();
    args.texts.erase(args.texts.begin());
  }
  if (!args.texts.empty()) return {};
  return Fail(ErrorCode::kInvalidArgument, "a model and a TEXT are needed",
              "give MODEL TEXT, or --model MODEL TEXT");
}

Result<int> Run(PerplexityArgs args) {
  LINNET_TRY(SortFiles(args));
  LINNET_ASSIGN(const SessionOptions session, ToSessionOptions(args.model));
  LINNET_ASSIGN(const std::unique_ptr<Engine> engine, LoadModel(args.model, UseOf(args, session, 1)));
  std::unique_ptr<Engine> reference;
  if (!args.compare.empty()) {
    LINNET_ASSIGN(reference, LoadReference(args, session));
  }
  LINNET_ASSIGN(const std::vector<TokenText> texts, Tokenise(args.texts, *engine, reference.get()));
  ProgressLine progress;
  LINNET_ASSIGN(const PerplexityResult result,
                MeasurePerplexity(*engine, reference.get(), texts, {session.context, session.kv},
                                  progress.AsCallback()));
  progress.Clear();
  const ComparedModels models{args.model.model, args.compare};
  Write(args.json ? AsJson(result, models) : AsText(result, models));
  return kExitDone;
}

}  // namespace

Command PerplexityCommand() {
  return {
      "perplexity", "measure how well a model predicts texts, alone or beside another", [](Args& args) {
        auto values = std::make_shared<PerplexityArgs>();
        values->model.kv = "f32";
        args.Positional("TEXT", values->texts, "text files; without --model the first one is the model",
                        false);
        args.Option("--model", values->model.model,
                    "Hugging Face directory, GGUF file, or directory of GGUFs");
        args.Option("--compare", values->compare,
                    "another file of the same model, or 'dequantised': the same weights held as float32");
        args.Option("--context", values->model.context, "tokens seen at once; 0 = the model's, at most 2048");
        DeclareThreads(args, values->model.threads);
        DeclareKv(args, values->model.kv);
        args.Flag("--dequantise", values->model.dequantise, "hold every weight as float32: slow and large");
        DeclareOverPlan(args, values->model.over_plan);
        args.Flag("--json", values->json, "one JSON object");
        args.Footer(
            "Longer texts than the context are read in windows that overlap by half; every token counts "
            "once.\n"
            "With --compare both models are in memory at once; the reference's cache is always float32.\n"
            "Examples:\n  linnet perplexity model.gguf book.txt\n"
            "  linnet perplexity model-q4_0.gguf book.txt --compare model-bf16.gguf\n"
            "  linnet perplexity model.gguf book.txt --compare dequantised --json\n"
            "  linnet perplexity model.gguf book.txt --compare model.gguf --kv int8\n");
        return [values] { return Run(*values); };
      }};
}

}  // namespace linnet
