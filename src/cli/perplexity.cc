// linnet perplexity: how well a model predicts texts, and what a number format costs.
#include <fmt/core.h>

#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/model_args.h"
#include "cli/report.h"
#include "cli/text_input.h"
#include "eval/perplexity.h"

namespace linnet {
namespace {

using Json = nlohmann::ordered_json;

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

Json ScoreJson(const TextScore& score) {
  Json json = {{"name", score.name},
               {"tokens", score.tokens},
               {"mean_nll", score.mean_nll},
               {"perplexity", score.Perplexity()}};
  if (score.comparison) {
    const ModelComparison& c = *score.comparison;
    json["comparison"] = {{"kl_mean", c.kl_mean},
                          {"kl_99", c.kl_99},
                          {"kl_max", c.kl_max},
                          {"top1", c.top1},
                          {"reference_mean_nll", c.reference_nll},
                          {"nll_change", score.mean_nll - c.reference_nll}};
  }
  return json;
}

std::string AsJson(const PerplexityResult& result, const PerplexityArgs& args) {
  Json json = {{"model", args.model.model},
               {"reference", args.compare},
               {"context", result.context},
               {"texts", Json::array()}};
  for (const TextScore& score : result.texts) json["texts"].push_back(ScoreJson(score));
  json["total"] = ScoreJson(result.total);
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string ScoreLine(const TextScore& score) {
  std::string line = fmt::format("{}: {} tokens, mean nll {:.5f}, perplexity {:.4f}", score.name,
                                 score.tokens, score.mean_nll, score.Perplexity());
  if (score.comparison) {
    line += fmt::format(", change {:+.5f}, KL mean {:.3g}, same top token {:.2f} %",
                        score.mean_nll - score.comparison->reference_nll, score.comparison->kl_mean,
                        100 * score.comparison->top1);
  }
  return line + "\n";
}

std::string AsText(const PerplexityResult& result, const PerplexityArgs& args) {
  std::string text;
  for (const TextScore& score : result.texts) text += ScoreLine(score);
  if (result.texts.size() > 1) text += ScoreLine(result.total);
  if (!result.total.comparison) return text;
  const ModelComparison& c = *result.total.comparison;
  text += fmt::format("beside {}: mean nll {:.5f}, change {:+.5f}\n", args.compare, c.reference_nll,
                      result.total.mean_nll - c.reference_nll);
  text +=
      fmt::format("KL divergence: mean {:.3g}, 99 % {:.3g}, largest {:.3g}\n", c.kl_mean, c.kl_99, c.kl_max);
  text += fmt::format("the same most probable token: {:.2f} %\n", 100 * c.top1);
  return text;
}

Result<std::unique_ptr<Engine>> LoadReference(const PerplexityArgs& args) {
  ModelArgs model = args.model;
  model.dequantise = args.compare == kDequantised;
  if (!model.dequantise) model.model = args.compare;
  return LoadModel(model);
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
  LINNET_ASSIGN(const std::unique_ptr<Engine> engine, LoadModel(args.model));
  std::unique_ptr<Engine> reference;
  if (!args.compare.empty()) {
    LINNET_ASSIGN(reference, LoadReference(args));
  }
  LINNET_ASSIGN(const std::vector<TokenText> texts, Tokenise(args.texts, *engine, reference.get()));
  ProgressLine progress;
  auto result = MeasurePerplexity(*engine, reference.get(), texts, {session.context, session.kv},
                                  progress.AsCallback());
  progress.Clear();
  if (!result) return std::unexpected(result.error());
  Write(args.json ? AsJson(*result, args) : AsText(*result, args));
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
        args.Flag("--json", values->json, "one JSON object");
        args.Footer(
            "Longer texts than the context are read in windows that overlap by half; every token counts "
            "once.\n"
            "With --compare both models are in memory at once; the reference's cache is always float32.\n"
            "Examples:\n  linnet perplexity model.gguf book.txt\n"
            "  linnet perplexity model-q4_0.gguf book.txt --compare model-bf16.gguf\n"
            "  linnet perplexity model.gguf book.txt --compare dequantised --json\n"
            "  linnet perplexity model.gguf book.txt --compare model.gguf --kv int8\n");
        return [values] {
          const Result<int> code = Run(*values);
          return code ? *code : Report(code.error());
        };
      }};
}

}  // namespace linnet
