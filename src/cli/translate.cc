// linnet translate: recordings and texts into another language.
#include <fmt/core.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "assist/prompts.h"
#include "base/mapped_file.h"
#include "base/printable.h"
#include "base/process.h"
#include "cli/commands.h"
#include "cli/media_args.h"
#include "cli/report.h"
#include "cli/speech_args.h"
#include "media/media_kind.h"

namespace linnet {
namespace {

constexpr size_t kMaxTextBytes = 64u << 20;

struct TranslateArgs {
  SpeechArgs speech;
  std::string to;
};

bool IsBlank(std::string_view text) { return text.find_first_not_of(" \t\r\n") == std::string_view::npos; }

// What a person types, up to Ctrl-D.
Result<MediaSource> ReadTyped() {
  std::vector<uint8_t> text;
  uint8_t buffer[1 << 12];
  while (const size_t count = std::fread(buffer, 1, sizeof buffer, stdin)) {
    text.insert(text.end(), buffer, buffer + count);
    if (text.size() > kMaxTextBytes) break;
  }
  return MediaSource(std::move(text), "standard input");
}

Result<std::string> ReadText(const MediaSource& source) {
  MappedFile mapped;
  if (!source.file.empty()) {
    LINNET_ASSIGN(mapped, MappedFile::Open(source.file));
  }
  const std::span<const uint8_t> bytes = source.file.empty() ? std::span(source.bytes) : mapped.bytes();
  if (bytes.size() > kMaxTextBytes) {
    return Fail(ErrorCode::kInvalidArgument, source.name + " holds more than 64 MB of text",
                "cut it into parts");
  }
  std::string text(bytes.begin(), bytes.end());
  if (text.find('\0') != std::string::npos) {
    return Fail(ErrorCode::kBadFile, source.name + " is neither a recording nor text",
                "give a sound, a video or a text file");
  }
  if (IsBlank(text)) return Fail(ErrorCode::kBadFile, source.name + " holds no text", "give some");
  return text;
}

// Line by line: a paragraph is one line in most texts, and short pieces are translated best. Empty lines
// stay.
Status TranslateTextFile(const SpeechRun& run, const MediaSource& source) {
  const SpeechArgs& args = run.args;
  LINNET_ASSIGN(const std::string path, OutputOf(args, source.FileName(), ".txt"));
  LINNET_ASSIGN(const std::string text, ReadText(source));
  ProgressLine progress;
  std::string content;
  int64_t cut = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    std::string line = text.substr(at, end - at);
    at = end + 1;
    if (!IsBlank(line)) {
      bool stopped = false;
      LINNET_ASSIGN(line, run.transcriber.TranslateText(line, stopped, &run.cancel));
      cut += stopped;
    }
    progress.Clear();
    path.empty() ? Write(line + "\n") : void(content += line + "\n");
    progress.Show(static_cast<double>(end) / static_cast<double>(text.size()), "translating");
  }
  progress.Clear();
  if (cut > 0 && !args.quiet) {
    fmt::print(stderr, "linnet: {}: in {} line{} the model repeated itself and was stopped\n",
               Printable(source.name), cut, cut == 1 ? "" : "s");
  }
  return path.empty() ? Status() : WriteWhole(path, content);
}

Status Translate(const SpeechRun& run, const std::string& file) {
  const bool typed = file == "-" && IsTerminal(Stream::kInput);
  LINNET_ASSIGN(const MediaSource source, typed ? ReadTyped() : ParseMediaAddress(file));
  LINNET_ASSIGN(const MediaFormat format, RecogniseMedia(source));
  const bool recording = format.kind == MediaKind::kSound || format.kind == MediaKind::kVideo;
  return recording ? WriteDown(run, source) : TranslateTextFile(run, source);
}

Result<int> Run(const TranslateArgs& args) {
  LINNET_TRY(CheckSpeech(args.speech));
  const std::string language = LanguageName(args.to);
  if (language.empty()) {
    return Fail(ErrorCode::kInvalidArgument, fmt::format("--to \"{}\" names no language", args.to),
                "give a code as fr or a name as French");
  }
  LINNET_ASSIGN(const SessionOptions session, ToSessionOptions(args.speech.model));
  LINNET_ASSIGN(const std::unique_ptr<Engine> engine, LoadModel(args.speech.model));
  LINNET_ASSIGN(Transcriber transcriber,
                Transcriber::Create(*engine, session, {SplitOf(args.speech), language}));
  const InterruptGuard interrupt;
  if (args.speech.mic.on) {
    LINNET_TRY(WriteDownMic(args.speech, transcriber, interrupt.flag()));
    return FlushOutput();
  }
  const MediaLoader loader({.sandbox = !args.speech.no_sandbox});
  WarnOfWeakness(loader);
  const SpeechRun run{args.speech, transcriber, loader, interrupt.flag()};
  const int code =
      ForEachFile(args.speech.files, [&](const std::string& file) { return Translate(run, file); });
  return std::max(code, FlushOutput());
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
            return [values] {
              const Result<int> code = Run(*values);
              return code ? *code : Report(code.error());
            };
          }};
}

}  // namespace linnet
