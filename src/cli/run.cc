// linnet run: one answer, or a chat.
#include <fmt/core.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/plain_text.h"
#include "base/process.h"
#include "base/spooled_file.h"
#include "base/system_files.h"
#include "cli/answer.h"
#include "cli/chat.h"
#include "cli/commands.h"
#include "cli/grammar_args.h"
#include "cli/media_args.h"
#include "cli/model_args.h"
#include "cli/report.h"
#include "cli/text_input.h"
#include "linnet/conversation.h"
#include "linnet/media.h"
#include "linnet/session.h"
#include "linnet/session_file.h"

namespace linnet {
namespace {

// The largest budget of a picture.
constexpr int64_t kMostImageTokens = 1120;

struct RunArgs {
  ModelArgs model;
  SamplingArgs sampling;
  MediaArgs media;
  GrammarArgs grammar;
  std::optional<std::string> prompt;
  std::string system;
  std::string tools;
  std::string when_full = "refuse";
  std::string session;
  std::vector<std::string> results;
  bool thinking = false;
  bool raw = false;
  bool json = false;
  bool quiet = false;
  std::set<std::string> given;
};

// --raw leaves out the chat format, and with it everything that has a place in it only.
Status CheckRaw(const RunArgs& args) {
  const std::pair<const char*, bool> others[] = {{"--image, --audio, --video and --mic", args.media.Any()},
                                                 {"--system", !args.system.empty()},
                                                 {"--tools", args.given.contains("--tools")},
                                                 {"--when-full", args.given.contains("--when-full")},
                                                 {"--session", args.given.contains("--session")},
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

// --tools and media may be standard input too; it can be only one of them.
bool InputIsTaken(const RunArgs& args) {
  const MediaArgs& media = args.media;
  return IsStandardInput(args.tools) || std::ranges::any_of(media.images, IsStandardInput) ||
         std::ranges::any_of(media.audio, IsStandardInput) ||
         std::ranges::any_of(media.videos, IsStandardInput);
}

// The prompt of a single answer: -p, and behind it what is piped in. nullopt = there is neither and a person
// sits at the terminal, so it is a chat.
Result<std::optional<std::string>> PromptOf(const RunArgs& args) {
  const bool dash = args.prompt == "-", taken = InputIsTaken(args);
  if (dash && taken) {
    return Fail(ErrorCode::kInvalidArgument, "standard input is to be the prompt and a file at once",
                "give one of them as a file");
  }
  if (taken && !args.prompt) {
    return Fail(ErrorCode::kInvalidArgument, "standard input is a file here, and no prompt",
                "give the prompt with -p");
  }
  std::optional<std::string> prompt;
  if (args.prompt && !dash) {
    LINNET_ASSIGN(prompt, PlainText(*args.prompt, "the prompt"));
  }
  if (dash || (!taken && !IsTerminal(Stream::kInput))) {
    LINNET_ASSIGN(const std::string piped, ReadStandardInput());
    if (!prompt) {
      prompt = piped;
    } else if (!IsBlank(piped)) {
      *prompt += (args.raw ? "" : "\n\n") + piped;
    }
  }
  if (!args.results.empty()) {
    if ((prompt && !IsBlank(*prompt)) || args.media.Any()) {
      return Fail(ErrorCode::kInvalidArgument,
                  "--result answers a call, and cannot be given with a prompt or media",
                  "leave one of them out");
    }
    return std::string();
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

WhenFull WhenFullOf(const std::string& name) {
  if (name == "shift") return WhenFull::kShift;
  return name == "summarise" ? WhenFull::kSummarise : WhenFull::kRefuse;
}

// Whether it is a PDF, as far as can be told: a pipe may be one, and what is not there is said later.
bool MayBePdf(const std::string& address) {
  if (IsStandardInput(address) || SpooledFile::IsStream(address)) return true;
  const auto source = ParseMediaAddress(address);
  const auto format = source ? RecogniseMedia(*source) : std::unexpected(source.error());
  return !format || format->kind == MediaKind::kPdf;
}

// What says how media are read is of use where there are some; in a chat they may come later.
Status CheckMediaOptions(const RunArgs& args, bool chat) {
  const std::vector<std::string>& images = args.media.images;
  const bool pdf = args.given.contains("--pages") && std::ranges::any_of(images, MayBePdf);
  const bool picture = !images.empty(), video = !args.media.videos.empty();
  const bool file = picture || video || !args.media.audio.empty();
  return CheckUseful(args.given,
                     {{{"--pages"}, chat || pdf, "is for a PDF given with --image"},
                      {{"--image-tokens"}, chat || picture, "is for --image"},
                      {{"--fps", "--max-frames", "--frame-tokens"}, chat || video, "is for --video"},
                      {{"--mask-rule"}, chat || picture || video, "is for --image and --video"},
                      {{"--no-sandbox"}, chat || file, "is for --image, --video and --audio"}});
}

// Errors: those of the file; kInvalidArgument for an empty one, which is no list of tools.
Result<std::string> ReadTools(const std::string& file) {
  LINNET_ASSIGN(std::string tools, ReadTextFile(file));
  if (!IsBlank(tools)) return tools;
  return Fail(ErrorCode::kInvalidArgument, file + " is empty",
              "give a JSON list of tools, or leave --tools out");
}

std::string Title(const RunArgs& args, const Engine& engine) {
  if (args.model.model.empty()) return "Chick";
  const std::string name = engine.facts().name;
  return name.empty() ? args.model.model : name;
}

// `generate` writes the answer and calls the hooks it is given.
Result<int> AnswerOnce(const RunArgs& args, const Engine& engine, const std::vector<MediaUse>& uses,
                       const std::function<Result<Generation>(const GenerateHooks&)>& generate) {
  AnswerPrinter printer;
  ProgressLine progress;
  GenerateHooks hooks = args.json ? GenerateHooks{} : printer.Hooks();
  hooks.on_prompt = [&progress](double fraction, std::string_view what) {
    fraction < 1.0 ? progress.Show(fraction, what) : progress.Clear();
  };
  LINNET_ASSIGN(const Generation answer, generate(hooks));
  progress.Clear();
  if (args.json) {
    Write(AnswerJson(answer, engine, uses) + "\n");
  } else {
    printer.Finish(answer);
  }
  if (!args.quiet) Say("linnet: {}\n", StatsLine(answer.stats));
  return kExitDone;
}

MediaArgs WithoutFiles(MediaArgs media) {
  media.images.clear();
  media.audio.clear();
  media.videos.clear();
  media.mic.on = false;
  return media;
}

Result<int> ContinueText(const RunArgs& args, Engine& engine, const std::string& text,
                         const SessionOptions& options, const GenerateOptions& generation) {
  LINNET_ASSIGN(const std::vector<int32_t> ids, engine.TokeniseMarked(text));
  LINNET_ASSIGN(const std::unique_ptr<Session> session, engine.NewSession(options));
  return AnswerOnce(args, engine, {}, [&](const GenerateHooks& hooks) {
    return linnet::Continue(engine, *session, ids, generation, hooks);
  });
}

// What is planned beside the model: media that are named, and in a chat those that may come.
MemoryUse UseOf(const RunArgs& args, const SessionOptions& session, bool chat) {
  const MediaArgs& media = args.media;
  MemoryUse use{.session = session};
  use.knobs.pictures = media.images.empty() ? "" : "--image-tokens N";
  if (media.images.empty()) {
    use.image_tokens = chat || !media.videos.empty() ? -1 : 0;
  } else if (media.image_tokens == "auto") {
    use.image_tokens = kMostImageTokens;
  } else {
    use.image_tokens = LeadingNumber(media.image_tokens).value_or(-1);
  }
  if (!chat && media.audio.empty() && media.videos.empty() && !media.mic.on) use.sound_seconds = 0;
  return use;
}

bool IsSameJson(const std::string& a, const std::string& b) {
  return nlohmann::ordered_json::parse(a, nullptr, false) == nlohmann::ordered_json::parse(b, nullptr, false);
}

struct Choices {
  ChatSetup setup;
  SessionOptions session;
  GenerateOptions generation;
  GrammarChoice grammar;
};

// A conversation goes on as it was begun: what an option would change of that is refused, and what none says
// is as it was.
Status TakeAsBefore(const RunArgs& args, const SessionFacts& facts, Choices& choices) {
  const auto another = [&](const std::string& option) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("{}: was begun with another {}", args.session, option),
                fmt::format("leave {} out, or begin another session with another file", option));
  };
  const ChatSetup& setup = choices.setup;
  if (args.given.contains("--system") && setup.system != facts.setup.system) return another("--system");
  if (args.given.contains("--tools") && !IsSameJson(setup.tools, facts.setup.tools))
    return another("--tools");
  if (!args.given.contains("--kv")) choices.session.kv = facts.options.kv;
  if (!args.given.contains("--mask-rule")) choices.session.mask_rule = facts.options.mask_rule;
  if (choices.session.context == 0) choices.session.context = facts.options.context;
  choices.generation.sampling = SamplingAsBefore(args.sampling.sampling, facts.sampling, args.given);
  return {};
}

Result<Conversation> GoOn(const RunArgs& args, Engine& engine, SessionFile& file, const Choices& choices) {
  LINNET_ASSIGN(Conversation conversation, file.Load(engine, choices.session));
  conversation.SetWhenFull(choices.setup.when_full);
  if (args.thinking) conversation.SetThinking(true);
  if (!args.quiet) {
    Say("linnet: {} goes on: {} messages, {} of {} tokens used\n", args.session, file.facts().messages,
        conversation.length(), conversation.context());
  }
  return conversation;
}

Status AddResults(const std::vector<std::string>& results, Conversation& conversation) {
  for (const std::string& text : results) {
    LINNET_ASSIGN(std::string result, PlainText(text, "--result"));
    if (!conversation.AwaitsToolResult()) {
      return Fail(ErrorCode::kInvalidArgument, "no tool call waits for this --result",
                  "give one for each call of the last answer");
    }
    conversation.AddToolResult(result);
  }
  if (!conversation.AwaitsToolResult()) return {};
  return Fail(ErrorCode::kInvalidArgument, "a tool call waits for its result",
              "give a --result for each call");
}

struct Exchange {
  std::optional<std::string> prompt;  // nullopt = a chat
  GenerateOptions options;
  SessionFile* file;  // null = none keeps it
};

Result<int> Converse(const RunArgs& args, Engine& engine, Conversation& conversation, Exchange exchange) {
  UserMessage message;
  message.text = exchange.prompt.value_or("");
  LINNET_ASSIGN(std::vector<MediaUse> uses, LoadMedia(args.media, conversation, message));
  if (args.media.mic.on) {
    const InterruptGuard interrupt;
    LINNET_ASSIGN(const auto spoken, LoadMic(args.media, conversation, interrupt.flag(), message));
    uses.insert(uses.end(), spoken.begin(), spoken.end());
  }
  if (!exchange.prompt) {
    return Chat(conversation, {Title(args, engine), std::move(message), WithoutFiles(args.media),
                               exchange.options, args.quiet, exchange.file, &engine});
  }
  if (args.results.empty()) {
    conversation.AddUser(std::move(message));
  } else {
    LINNET_TRY(AddResults(args.results, conversation));
  }
  LINNET_ASSIGN(const int code, AnswerOnce(args, engine, uses, [&](const GenerateHooks& hooks) {
                  return conversation.Answer(exchange.options, hooks);
                }));
  if (exchange.file != nullptr) LINNET_TRY(exchange.file->Save(conversation));
  return code;
}

// Everything between the parsed arguments and the answer; every error ends up in one place.
Result<int> Run(const RunArgs& args) {
  LINNET_TRY(CheckRaw(args));
  LINNET_TRY(CheckUseful(args.given, {{{"--result"}, !args.session.empty(), "is for --session"}}));
  LINNET_ASSIGN(const std::optional<std::string> prompt, PromptOf(args));
  LINNET_TRY(CheckMic(args.given, args.media.mic, !prompt));
  LINNET_TRY(CheckMediaOptions(args, !prompt));
  const bool lasts = !prompt || args.given.contains("--session");
  LINNET_TRY(CheckUseful(args.given, {{{"--when-full"}, lasts, "is for a chat, or with --session"}}));
  Choices choices;
  LINNET_ASSIGN(choices.generation, ToGenerateOptions(args.sampling));
  LINNET_ASSIGN(choices.generation.draft, DraftsOf(args.model));
  LINNET_ASSIGN(choices.session, ToSessionOptions(args.model));
  LINNET_ASSIGN(choices.setup.system, PlainText(args.system, "--system"));
  choices.setup.thinking = args.thinking;
  choices.setup.when_full = WhenFullOf(args.when_full);
  if (args.given.contains("--tools")) {
    LINNET_ASSIGN(choices.setup.tools, ReadTools(args.tools));
  }
  LINNET_ASSIGN(choices.grammar.source, ReadGrammar(args.grammar, args.given));
  choices.grammar.strict = args.grammar.strict;
  std::optional<SessionFile> file;
  if (args.given.contains("--session")) {
    LINNET_ASSIGN(file, SessionFile::Open(args.session));
  }
  const bool goes_on = file && !file->empty();
  if (goes_on) LINNET_TRY(TakeAsBefore(args, file->facts(), choices));
  choices.grammar.tools = goes_on ? file->facts().setup.tools : choices.setup.tools;
  LINNET_TRY(CheckUseful(args.given, {{{"--strict"}, !choices.grammar.tools.empty(), "is for --tools"}}));
  MemoryUse use = UseOf(args, choices.session, !prompt);
  PlanGrammar(choices.grammar, use);
  LINNET_ASSIGN(const std::unique_ptr<Engine> engine, LoadModel(args.model, use));
  LINNET_ASSIGN(const std::unique_ptr<TokenMask> mask, MaskOf(choices.grammar, *engine));
  choices.generation.mask = mask.get();
  if (args.raw) return ContinueText(args, *engine, *prompt, choices.session, choices.generation);
  LINNET_ASSIGN(Conversation conversation,
                goes_on ? GoOn(args, *engine, *file, choices)
                        : Conversation::Create(*engine, choices.session, choices.setup));
  return Converse(args, *engine, conversation, {prompt, choices.generation, file ? &*file : nullptr});
}

}  // namespace

Command RunCommand() {
  return {
      "run", "answer a prompt with text, pictures and sound, or chat", [](Args& args) {
        auto values = std::make_shared<RunArgs>();
        DeclareModel(args, values->model);
        args.Given(values->given);
        args.Option("-p,--prompt", values->prompt,
                    "the prompt; what is piped into standard input follows it, or is it where there is none");
        DeclareMedia(args, values->media);
        DeclareMaskRule(args, values->model);
        args.Option("-s,--system", values->system, "what the model is told before the conversation");
        args.Flag("--think", values->thinking, "let the model think first; thoughts go to standard error");
        args.Option("--tools", values->tools, "a JSON file with a list of tools the model may call");
        DeclareGrammar(args, values->grammar);
        args.Choice(
            "--when-full", values->when_full, {"refuse", "shift", "summarise"},
            "what becomes of a full context: it is refused; the oldest turns go; or a summary of them "
            "stays");
        args.Option("--session", values->session,
                    "a file that keeps the conversation: goes on where it ended, or begins it");
        args.Option("--result", values->results,
                    "the result of a tool call that the session waits for; once for each");
        args.Flag("--raw", values->raw, "continue the prompt as it is, without a chat around it");
        args.Flag("--json", values->json, "one JSON object at the end instead of text (docs/cli.md)");
        args.Flag("-q,--quiet", values->quiet, "no statistics on standard error");
        DeclareSampling(args, values->sampling);
        DeclareDrafting(args, values->model);
        DeclareOverPlan(args, values->model.over_plan);
        DeclareCacheRam(args, values->model.cache_ram);
        args.Footer(
            "Pictures are put before the text and sound after it, as the model was trained. A sound of more "
            "than\n"
            "30 s is given as several of at most 15 s, cut at its pauses; long recordings are for 'linnet "
            "transcribe'.\n"
            "Without a prompt at a terminal it is a chat; Ctrl-C stops an answer, /help lists the commands.\n"
            "Examples:\n"
            "  linnet run -p \"what is in the picture\" --image examples/shapes.png\n"
            "  linnet run gemma-4-12b-it-q4_0.gguf -p \"Summarise this.\" --json < notes.txt\n"
            "  linnet run gemma-4-12b-it-q4_0.gguf --schema person.json -p \"Who wrote Faust?\"\n"
            "  linnet run gemma-3-270m-q4_k_m.gguf --raw -p \"The capital of France is\" -n 20\n"
            "  linnet run gemma-4-12b-it-q4_0.gguf --system \"Answer in French.\"\n"
            "  linnet run gemma-4-12b-it-q4_0.gguf --session trip.linnet -p \"And in winter?\"\n");
        return [values] { return Run(*values); };
      }};
}

}  // namespace linnet
