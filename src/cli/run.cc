// linnet run: one answer, or a chat.
#include <fmt/core.h>

#include <algorithm>
#include <cstdio>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/process.h"
#include "cli/answer.h"
#include "cli/chat.h"
#include "cli/commands.h"
#include "cli/media_args.h"
#include "cli/model_args.h"
#include "cli/report.h"
#include "model/config.h"
#include "runtime/conversation.h"
#include "runtime/generate.h"
#include "runtime/prompt.h"

namespace linnet {
namespace {

// Longer prompts than this cannot be meant: the model's context ends far below.
constexpr size_t kMaxPromptBytes = 64u << 20;

struct RunArgs {
  ModelArgs model;
  SamplingArgs sampling;
  MediaArgs media;
  std::optional<std::string> prompt;
  std::string system;
  std::string tools;
  bool thinking = false;
  bool raw = false;
  bool json = false;
  bool quiet = false;
};

Result<std::string> ReadAll(std::FILE* file, const std::string& name, size_t limit) {
  std::string text;
  char buffer[1 << 16];
  while (const size_t count = std::fread(buffer, 1, sizeof buffer, file)) {
    text.append(buffer, count);
    if (text.size() > limit) {
      return Fail(ErrorCode::kInvalidArgument, fmt::format("{} holds more than {}", name, HumanBytes(limit)),
                  "give less");
    }
  }
  return text;
}

Result<std::string> ReadTextFile(const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "rb");
  if (file == nullptr) {
    return Fail(ErrorCode::kNotFound, fmt::format("{} cannot be opened", path),
                "check the name and the rights");
  }
  auto text = ReadAll(file, path, kMaxPromptBytes);
  std::fclose(file);
  return text;
}

// --raw leaves out the chat format, and with it everything that has a place in it only.
Status CheckRaw(const RunArgs& args) {
  const std::pair<const char*, bool> others[] = {{"--image, --audio, --video and --mic", args.media.Any()},
                                                 {"--system", !args.system.empty()},
                                                 {"--tools", !args.tools.empty()},
                                                 {"--think", args.thinking}};
  for (const auto& [name, given] : others) {
    if (args.raw && given) {
      return Fail(ErrorCode::kInvalidArgument,
                  fmt::format("--raw continues a text and cannot be given with {}", name),
                  "leave one of them out");
    }
  }
  return {};
}

bool IsBlank(const std::string& text) { return text.find_first_not_of(" \t\r\n") == std::string::npos; }

// The prompt of a single answer; nullopt = there is none and a person sits at the terminal, so it is a chat.
Result<std::optional<std::string>> PromptOf(const RunArgs& args) {
  std::optional<std::string> prompt = args.prompt;
  if (args.media.TakeStandardInput()) {
    if (prompt && *prompt != "-") return prompt;
    return Fail(ErrorCode::kInvalidArgument,
                "standard input is a picture, sound or video here, and no prompt", "give the prompt with -p");
  }
  if (prompt == "-" || (!prompt && !IsTerminal(Stream::kInput))) {
    LINNET_ASSIGN(prompt, ReadAll(stdin, "standard input", kMaxPromptBytes));
  }
  if (prompt && IsBlank(*prompt) && !args.media.Any()) {
    return Fail(ErrorCode::kInvalidArgument, "the prompt is empty",
                "give one with -p or on standard input; for a chat run it at a terminal");
  }
  if (!prompt && (args.json || args.raw)) {
    return Fail(ErrorCode::kInvalidArgument, fmt::format("{} needs a prompt", args.json ? "--json" : "--raw"),
                "give one with -p or on standard input");
  }
  return prompt;
}

std::string Title(const RunArgs& args, const Engine& engine) {
  if (args.model.model.empty()) return "Chick";
  return engine.config().name.empty() ? args.model.model : engine.config().name;
}

// `generate` writes the answer and calls the hooks it is given.
int AnswerOnce(const RunArgs& args, const Engine& engine, const std::vector<MediaUse>& uses,
               const std::function<Result<Generation>(const GenerateHooks&)>& generate) {
  AnswerPrinter printer;
  ProgressLine progress;
  GenerateHooks hooks = args.json ? GenerateHooks{} : printer.Hooks();
  hooks.on_prompt = [&progress](double fraction, std::string_view what) {
    fraction < 1.0 ? progress.Show(fraction, what) : progress.Clear();
  };
  const auto answer = generate(hooks);
  progress.Clear();
  if (!answer) return Report(answer.error());
  if (args.json) {
    Write(AnswerJson(*answer, engine, uses) + "\n");
  } else {
    printer.Finish(*answer);
  }
  if (!args.quiet) fmt::print(stderr, "linnet: {}\n", StatsLine(answer->stats));
  return FlushOutput();
}

MediaArgs WithoutFiles(MediaArgs media) {
  media.images.clear();
  media.audio.clear();
  media.videos.clear();
  media.mic.on = false;
  return media;
}

Result<int> Continue(const RunArgs& args, Engine& engine, const std::string& text,
                     const SessionOptions& options, const GenerateOptions& generation) {
  LINNET_ASSIGN(const Prompt prompt, BuildPlainPrompt(engine.tokenizer(), engine.config(), text));
  LINNET_ASSIGN(const std::unique_ptr<Session> session, engine.NewSession(options));
  return AnswerOnce(args, engine, {}, [&](const GenerateHooks& hooks) {
    return Generate(engine, *session, {.prompt = prompt, .earlier = {}, .plain = true}, generation, hooks);
  });
}

// Everything between the parsed arguments and the answer; every error ends up in one place.
Result<int> Run(const RunArgs& args) {
  LINNET_TRY(CheckRaw(args));
  LINNET_ASSIGN(const std::optional<std::string> prompt, PromptOf(args));
  LINNET_TRY(CheckMic(args.media.mic, !prompt));
  LINNET_ASSIGN(GenerateOptions options, ToGenerateOptions(args.sampling));
  LINNET_ASSIGN(options.draft, DraftsOf(args.model));
  LINNET_ASSIGN(const SessionOptions session, ToSessionOptions(args.model));
  ChatSetup setup;
  setup.system = args.system;
  setup.thinking = args.thinking;
  if (!args.tools.empty()) {
    LINNET_ASSIGN(setup.tools, ReadTextFile(args.tools));
  }
  LINNET_ASSIGN(const std::unique_ptr<Engine> engine, LoadModel(args.model));
  if (args.raw) return Continue(args, *engine, *prompt, session, options);
  UserMessage message;
  std::vector<MediaUse> uses;
  // What Engine::NewSession takes when none is named.
  constexpr int64_t kUsualContext = 8192;
  MediaArgs media = args.media;
  media.context = session.context > 0 ? session.context
                                      : std::min(kUsualContext, engine->config().max_position_embeddings);
  LINNET_TRY(LoadMedia(media, engine->config(), message, uses));
  LINNET_ASSIGN(Conversation conversation, Conversation::Create(*engine, session, setup));
  if (media.mic.on) {
    const InterruptGuard interrupt;
    LINNET_TRY(LoadMic(media, engine->config(), interrupt.flag(), message, uses));
  }
  if (!prompt) {
    return Chat(*engine, conversation,
                {Title(args, *engine), std::move(message), WithoutFiles(media), options});
  }
  message.text = *prompt;
  conversation.AddUser(std::move(message));
  return AnswerOnce(args, *engine, uses,
                    [&](const GenerateHooks& hooks) { return conversation.Answer(options, hooks); });
}

}  // namespace

Command RunCommand() {
  return {
      "run", "answer a prompt with text, pictures and sound, or chat", [](Args& args) {
        auto values = std::make_shared<RunArgs>();
        DeclareModel(args, values->model);
        args.Option("-p,--prompt", values->prompt, "the prompt; - or none = standard input");
        DeclareMedia(args, values->media);
        args.Option("-s,--system", values->system, "what the model is told before the conversation");
        args.Flag("--think", values->thinking, "let the model think first; thoughts go to standard error");
        args.Option("--tools", values->tools, "a JSON file with a list of tools the model may call");
        args.Flag("--raw", values->raw, "continue the prompt as it is, without a chat around it");
        args.Flag("--json", values->json, "one JSON object at the end instead of text (docs/cli.md)");
        args.Flag("-q,--quiet", values->quiet, "no statistics on standard error");
        DeclareSampling(args, values->sampling);
        DeclareDrafting(args, values->model);
        args.Footer(
            "Pictures are put before the text and sound after it, as the model was trained. A sound of more "
            "than\n"
            "30 s is given as several of at most 15 s, cut at its pauses; long recordings are for 'linnet "
            "transcribe'.\n"
            "Without a prompt at a terminal it is a chat; Ctrl-C stops an answer, /help lists the commands.\n"
            "Examples:\n"
            "  linnet run -p \"what is in the picture\" --image examples/shapes.png\n"
            "  linnet run gemma-4-12b-it-q4_0.gguf -p \"Summarise this.\" --json < notes.txt\n"
            "  linnet run gemma-3-270m-q4_k_m.gguf --raw -p \"The capital of France is\" -n 20\n"
            "  linnet run gemma-4-12b-it-q4_0.gguf --system \"Answer in French.\"\n");
        return [values] {
          const Result<int> code = Run(*values);
          return code ? *code : Report(code.error());
        };
      }};
}

}  // namespace linnet
