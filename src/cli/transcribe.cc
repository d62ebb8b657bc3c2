// linnet transcribe: writes down recordings.
#include <algorithm>
#include <memory>

#include "base/process.h"
#include "cli/commands.h"
#include "cli/media_args.h"
#include "cli/report.h"
#include "cli/speech_args.h"

namespace linnet {
namespace {

Result<int> Run(const SpeechArgs& args) {
  LINNET_TRY(CheckSpeech(args));
  LINNET_ASSIGN(const SessionOptions session, ToSessionOptions(args.model));
  LINNET_ASSIGN(TranscribeOptions options, TranscribeOptionsOf(args, ""));
  LINNET_ASSIGN(const std::unique_ptr<Engine> engine, LoadSpeechModel(args, session, options));
  LINNET_ASSIGN(Transcriber transcriber, Transcriber::Create(*engine, session, options));
  const InterruptGuard interrupt;
  if (args.mic.on) {
    LINNET_TRY(WriteDownMic(args, transcriber, interrupt.flag()));
    return kExitDone;
  }
  const MediaLoader loader({.sandbox = !args.no_sandbox});
  WarnOfWeakness(loader);
  const SpeechRun run{args, transcriber, loader, interrupt.flag()};
  return ForEachFile(args.files, [&](const std::string& file) -> Status {
    LINNET_ASSIGN(const MediaSource source, ParseMediaAddress(file));
    return WriteDown(run, source);
  });
}

}  // namespace

Command TranscribeCommand() {
  return {"transcribe", "write down recordings of any length, or what is spoken now", [](Args& args) {
            auto values = std::make_shared<SpeechArgs>();
            DeclareSpeech(args, *values);
            args.Footer(
                "A recording is cut at its pauses; each piece is heard on its own, nothing is left out.\n"
                "With -o a run that was stopped goes on where it was when it is started again.\n"
                "Examples:\n"
                "  linnet transcribe examples/command.wav\n"
                "  linnet transcribe --mic --timestamps\n"
                "  curl -s https://example.org/talk.mp3 | linnet transcribe - -f srt\n"
                "  linnet transcribe talk.mp3 --model gemma-4-12b-it-q4_0.gguf --timestamps\n"
                "  linnet transcribe *.m4a --model gemma-4-12b-it-q4_0.gguf --format srt -o subtitles/\n");
            return [values] { return Run(*values); };
          }};
}

}  // namespace linnet
