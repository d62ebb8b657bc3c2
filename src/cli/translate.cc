// linnet translate: recordings and texts into another language.
#include <fmt/core.h>

#include <algorithm>
#include <memory>
#include <string_view>

#include "base/plain_text.h"
#include "base/process.h"
#include "base/write_file.h"
#include "cli/commands.h"
#include "cli/media_args.h"
#include "cli/report.h"
#include "cli/speech_args.h"
#include "cli/text_input.h"

namespace linnet {
namespace {

struct TranslateArgs {
  SpeechArgs speech;
  std::string to;
};

// Line by line: a paragraph is one line in most texts, and short pieces are translated best. Empty lines
// stay. `name` is that of the output's file.
Status TranslateLines(const SpeechRun& run, const std::string& file, const std::string& name,
                      const std::string& text) {
  const SpeechArgs& args = run.args;
  if (args.format != "txt" || args.timestamps) {
    return Fail(
        ErrorCode::kInvalidArgument,
        fmt::format("{} is a text, which has no {}", file, args.timestamps ? "times" : "form " + args.format),
        fmt::format("leave {} out for it", args.timestamps ? "--timestamps" : "--format"));
  }
  // Beside a text there may be recordings that they are for.
  LINNET_TRY(CheckUseful(
      args.given, {{{"--piece-seconds", "--pause-seconds", "--pad-seconds", "--together", "--no-sandbox"},
                    args.files.size() > 1,
                    "is for recordings, and " + file + " is a text"}}));
  LINNET_ASSIGN(const std::string path, OutputOf(args, name, ".txt"));
  if (IsBlank(text)) return Fail(ErrorCode::kBadFile, file + " holds no text", "give some");
  ProgressLine progress;
  std::string content;
  int64_t cut = 0, number = 0;
  for (std::string_view rest = text; !rest.empty();) {
    const auto [content_of_line, ending] = FirstLine(rest);
    rest.remove_prefix(content_of_line.size() + ending.size());
    std::string line(content_of_line);
    ++number;
    if (!IsBlank(line)) {
      bool stopped = false;
      auto translated = run.transcriber.TranslateText(line, stopped, &run.cancel);
      if (!translated && translated.error().code != ErrorCode::kCancelled) {
        return Prefixed(fmt::format("{}: line {}", file, number), translated.error());
      }
      LINNET_ASSIGN(line, std::move(translated));
      cut += stopped;
    }
    line += ending.empty() ? "\n" : ending;
    progress.Clear();
    path.empty() ? Write(line) : void(content += line);
    progress.Show(1.0 - static_cast<double>(rest.size()) / static_cast<double>(text.size()), "translating");
  }
  progress.Clear();
  if (cut > 0 && !args.quiet) {
    Say("linnet: {}: in {} line{} the model repeated itself and was stopped\n", file, cut,
        cut == 1 ? "" : "s");
  }
  return path.empty() ? Status() : WriteWholeFile(path, content);
}

Status Translate(const SpeechRun& run, const std::string& file) {
  if (IsStandardInput(file) && IsTerminal(Stream::kInput)) {
    LINNET_ASSIGN(const std::string typed, ReadStandardInput());
    return TranslateLines(run, "standard input", "text", typed);
  }
  LINNET_ASSIGN(const MediaSource source, ParseMediaAddress(file));
  LINNET_ASSIGN(const MediaFormat format, RecogniseMedia(source));
  if (format.kind == MediaKind::kSound || format.kind == MediaKind::kVideo) return WriteDown(run, source);
  LINNET_ASSIGN(const std::string text, ReadText(source));
  return TranslateLines(run, source.name, source.FileName(), text);
}

Result<int> Run(const TranslateArgs& args) {
  LINNET_TRY(CheckSpeech(args.speech));
  const std::string language = LanguageName(args.to);
  if (args.to.empty()) {
    return Fail(ErrorCode::kInvalidArgument, "no language is given", "name it with --to, as fr or French");
  }
  if (language.empty()) {
    return Fail(ErrorCode::kInvalidArgument, fmt::format("--to \"{}\" names no language", args.to),
                "give a code as fr or a name as French");
  }
  LINNET_ASSIGN(const SessionOptions session, ToSessionOptions(args.speech.model));
  LINNET_ASSIGN(TranscribeOptions options, TranscribeOptionsOf(args.speech, language));
  LINNET_ASSIGN(const std::unique_ptr<Engine> engine, LoadSpeechModel(args.speech, session, options));
  LINNET_ASSIGN(Transcriber transcriber, Transcriber::Create(*engine, session, options));
  const InterruptGuard interrupt;
  if (args.speech.mic.on) {
    LINNET_TRY(WriteDownMic(args.speech, transcriber, interrupt.flag()));
    return kExitDone;
  }
  const MediaLoader loader({.sandbox = !args.speech.no_sandbox});
  WarnOfWeakness(loader);
  const SpeechRun run{args.speech, transcriber, loader, interrupt.flag()};
  return ForEachFile(args.speech.files, [&](const std::string& file) { return Translate(run, file); });
}

}  // namespace

Command TranslateCommand() {
  return {"translate", "translate recordings, texts, or what is spoken now", [](Args& args) {
            auto values = std::make_shared<TranslateArgs>();
            DeclareSpeech(args, values->speech);
            args.Option("--to", values->to, "the language: a code as fr, or its English name");
            args.Footer(
                "A recording is written down and translated piece by piece; --format json holds both texts.\n"
                "A text is translated line by line; - is standard input, a text or a recording.\n"
                "Examples:\n"
                "  echo \"turn off the garden lamp\" | linnet translate - --to fr\n"
                "  linnet translate talk.mp3 --to de --model gemma-4-12b-it-q4_0.gguf --format srt -o "
                "talk.srt\n");
            return [values] { return Run(*values); };
          }};
}

}  // namespace linnet
