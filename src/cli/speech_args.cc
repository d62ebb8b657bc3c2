#include "cli/speech_args.h"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <map>
#include <optional>

#include "assist/journal.h"
#include "base/write_file.h"
#include "cli/report.h"
#include "media/audio.h"

namespace linnet {
namespace {

namespace fs = std::filesystem;

TranscriptFormat FormatOf(const std::string& name) {
  if (name == "srt") return TranscriptFormat::kSrt;
  if (name == "vtt") return TranscriptFormat::kVtt;
  return name == "json" ? TranscriptFormat::kJson : TranscriptFormat::kText;
}

// Words come this much after the pause that ends them.
constexpr double kLiveLookahead = 0.6;

std::string Clock(double seconds) {
  const auto whole = static_cast<int64_t>(seconds);
  return whole < 3600 ? fmt::format("{}:{:02}", whole / 60, whole % 60)
                      : fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
}

// "12:34 of 40:00, 3:10 left"
class Position {
 public:
  Position(double total, double from)
      : total_(total), from_(from), start_(std::chrono::steady_clock::now()) {}
  void Show(double seconds) {
    if (total_ <= 0) return line_.Show(0, Clock(seconds) + " done");
    const double passed = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
    const double left = seconds > from_ ? passed * (total_ - seconds) / (seconds - from_) : 0;
    line_.Show(std::min(1.0, seconds / total_),
               fmt::format("{} of {}, {} left", Clock(seconds), Clock(total_), Clock(std::max(0.0, left))));
  }
  void Clear() { line_.Clear(); }

 private:
  double total_, from_;
  std::chrono::steady_clock::time_point start_;
  ProgressLine line_;
};

// What must be the same for a journal to be gone on with.
std::string JournalKey(const SpeechArgs& args, const std::string& file, const std::string& language) {
  std::error_code ignored;
  const auto size = fs::file_size(file, ignored);
  const auto changed = fs::last_write_time(file, ignored).time_since_epoch().count();
  return fmt::format("{} {} {} | {} | {} | {:g} {:g} {:g}", fs::absolute(file, ignored).string(), size,
                     changed, args.model.model, language, args.split.max_seconds, args.split.pause_seconds,
                     args.split.pad_seconds);
}

bool IsNewer(const std::string& output, const std::string& input) {
  std::error_code error;
  const auto made = fs::last_write_time(output, error);
  if (error) return false;
  const auto changed = fs::last_write_time(input, error);
  return !error && made >= changed;
}

std::string RepeatNote(int64_t cut) {
  return cut == 0 ? ""
                  : fmt::format("in {} piece{} the model repeated itself and was stopped", cut,
                                cut == 1 ? "" : "s");
}

// The transcript as it grows: on standard output at once, for a file collected until it is complete.
class Output {
 public:
  Output(const SpeechArgs& args, const std::string& file, bool to_file)
      : writer_(FormatOf(args.format), args.timestamps, file), to_file_(to_file) {
    Put(writer_.Begin());
  }
  void Add(const Utterance& utterance) { Put(writer_.Add(utterance)); }
  // The file as it would be if the recording ended here.
  std::string SoFar(double seconds) const { return content_ + writer_.End(seconds); }
  const std::string& End(double seconds) {
    Put(writer_.End(seconds));
    return content_;
  }

 private:
  void Put(const std::string& text) { to_file_ ? void(content_ += text) : Write(text); }

  TranscriptWriter writer_;
  bool to_file_;
  std::string content_;
};

}  // namespace

void DeclareSpeech(Args& args, SpeechArgs& values) {
  args.Given(values.given);
  args.Positional("FILE", values.files, "recordings (WAV; FLAC, MP3, Ogg, M4A, WebM), videos", false);
  DeclareMic(args, values.mic);
  DeclareModel(args, values.model, false);
  args.Choice("-f,--format", values.format, {"txt", "srt", "vtt", "json"}, "form of the transcript");
  args.Option("-o,--output", values.output, "file, or directory for several; without it standard output");
  args.Flag("--timestamps", values.timestamps, "the time before each line of plain text");
  args.Flag("--again", values.again, "also files whose transcript is there already");
  args.Option("--piece-seconds", values.split.max_seconds, "longest piece that is heard at once, 1 to 30");
  args.Option("--pause-seconds", values.split.pause_seconds, "a silence of this length ends a piece");
  args.Option("--pad-seconds", values.split.pad_seconds, "silence around a piece that is heard with it");
  args.Flag("--no-sandbox", values.no_sandbox, "decode media inside this process");
  args.Flag("-q,--quiet", values.quiet, "no notes on standard error");
}

namespace {

// Two recordings of one name would become one file of the directory.
Status CheckNames(const SpeechArgs& values) {
  std::map<std::string, std::string> files;
  for (const std::string& file : values.files) {
    const auto [first, fresh] = files.emplace(fs::path(file).filename().string(), file);
    if (fresh || values.output.empty() || first->second == file) continue;
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("{} and {} would become one file in {}", first->second, file, values.output),
                "do them one after the other, with another -o");
  }
  return {};
}

}  // namespace

Status CheckSpeech(const SpeechArgs& values) {
  LINNET_TRY(CheckMic(values.mic));
  LINNET_TRY(CheckNames(values));
  LINNET_TRY(
      CheckUseful(values.given, {{{"--again"}, !values.output.empty(), "is for files that -o names"}}));
  if (values.files.empty() == values.mic.on) return {};
  return values.mic.on
             ? Fail(ErrorCode::kInvalidArgument, "--mic and files are given", "do one after the other")
             : Fail(ErrorCode::kInvalidArgument, "no FILE is given",
                    "give recordings, or --mic to record now");
}

SplitOptions SplitOf(const SpeechArgs& values) {
  SplitOptions split = values.split;
  if (values.mic.on) split.lookahead_seconds = kLiveLookahead;
  return split;
}

Result<std::string> OutputOf(const SpeechArgs& args, const std::string& file, const std::string& suffix) {
  if (args.output.empty()) return std::string();
  std::error_code ignored;
  const bool several = args.files.size() > 1;
  if (!several && !args.output.ends_with('/') && !fs::is_directory(args.output, ignored)) return args.output;
  LINNET_TRY(MakeDirectory(args.output));
  return (fs::path(args.output) / (fs::path(file).filename().string() + suffix)).string();
}

Status WriteDown(const SpeechArgs& args, const std::string& file, const std::string& language,
                 Transcriber& transcriber, const MediaLoader& loader, const std::atomic<bool>& cancel) {
  LINNET_ASSIGN(const std::string path, OutputOf(args, file, "." + args.format));
  const auto note = [&](const std::string& text) {
    if (!args.quiet) Say("linnet: {}: {}\n", file, text);
  };
  std::optional<Journal> journal;
  const std::string journal_path = path + ".journal";
  std::error_code ignored;
  LINNET_ASSIGN(const MediaSource source, ParseMediaAddress(file));
  LINNET_ASSIGN(AudioReader reader, loader.OpenAudio(source));
  if (!path.empty()) {
    if (!args.again && IsNewer(path, file) && !fs::exists(journal_path, ignored)) {
      note(fmt::format("{} is there already; --again writes it anew", path));
      return {};
    }
    LINNET_ASSIGN(journal, Journal::Open(journal_path, JournalKey(args, file, language)));
  }
  Output output(args, file, !path.empty());
  double from = 0;
  if (journal) {
    for (const Utterance& utterance : journal->done()) {
      output.Add(utterance);
      from = utterance.end;
    }
    if (from > 0) note(fmt::format("goes on at {}", Clock(from)));
  }
  Position position(static_cast<double>(reader.expected_samples()) / static_cast<double>(kSampleRate), from);
  int64_t cut = 0;
  const auto length = transcriber.Run(
      reader, from,
      [&](const Utterance& utterance) -> Status {
        cut += utterance.cut;
        position.Clear();
        output.Add(utterance);
        return journal ? journal->Append(utterance) : Status();
      },
      [&](double seconds) { position.Show(seconds); }, &cancel);
  position.Clear();
  if (!length) {
    if (length.error().code == ErrorCode::kCancelled && journal)
      note("stopped; the same command goes on where it was");
    return std::unexpected(length.error());
  }
  const std::string& content = output.End(*length);
  if (journal) {
    LINNET_TRY(WriteWholeFile(path, content));
    journal->Remove();
  }
  if (!reader.info().note.empty()) note(reader.info().note);
  if (cut > 0) note(RepeatNote(cut));
  return {};
}

Status WriteDownMic(const SpeechArgs& args, Transcriber& transcriber, const std::atomic<bool>& stop) {
  LINNET_ASSIGN(const std::string path, OutputOf(args, "microphone", "." + args.format));
  std::error_code ignored;
  if (!path.empty() && !args.again && fs::exists(path, ignored)) {
    return Fail(ErrorCode::kInvalidArgument, path + " is there already",
                "name another file, or add --again to replace it");
  }
  LINNET_ASSIGN(AudioReader reader, OpenMic(args.mic, args.quiet, [&] { return stop.load(); }));
  Output output(args, "microphone", !path.empty());
  int64_t cut = 0;
  const auto length = transcriber.Run(reader, 0, [&](const Utterance& utterance) -> Status {
    cut += utterance.cut;
    output.Add(utterance);
    return path.empty() ? Status() : WriteWholeFile(path, output.SoFar(utterance.end));
  });
  if (!length) return Prefixed("microphone", length.error());
  const auto note = [&](const std::string& text) {
    if (!args.quiet && !text.empty()) Say("linnet: microphone: {}\n", text);
  };
  note(reader.info().note);
  note(RepeatNote(cut));
  const std::string& content = output.End(*length);
  return path.empty() ? Status() : WriteWholeFile(path, content);
}

int ForEachFile(const std::vector<std::string>& files, const std::function<Status(const std::string&)>& one) {
  int code = kExitDone;
  for (const std::string& file : files) {
    const Status status = one(file);
    if (status) continue;
    code = std::max(code, Report(status.error()));
    if (status.error().code == ErrorCode::kCancelled) break;
  }
  return code;
}

}  // namespace linnet
