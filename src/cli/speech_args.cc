#include "cli/speech_args.h"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>

#include "base/mapped_file.h"
#include "base/write_file.h"
#include "cli/report.h"

namespace linnet {
namespace {

namespace fs = std::filesystem;

TranscriptFormat FormatOf(const std::string& name) {
  if (name == "srt") return TranscriptFormat::kSrt;
  if (name == "vtt") return TranscriptFormat::kVtt;
  return name == "json" ? TranscriptFormat::kJson : TranscriptFormat::kText;
}

// Words come this much after the pause that ends them.
constexpr int64_t kMostTogether = 64;
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

// The same for the same recording. What is no file of its own, but came through a pipe or in an address, is
// known by its content.
std::string IdentityOf(const MediaSource& source) {
  std::error_code ignored;
  if (!source.file.empty() && !source.spooled) {
    return fmt::format("{} {} {}", fs::absolute(source.file, ignored).string(),
                       fs::file_size(source.file, ignored),
                       fs::last_write_time(source.file, ignored).time_since_epoch().count());
  }
  const auto mapped = source.file.empty() ? Result<MappedFile>() : MappedFile::Open(source.file);
  const std::span<const uint8_t> bytes =
      source.file.empty() || !mapped ? std::span(source.bytes) : mapped->bytes();
  const std::string_view content(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  return fmt::format("{} {} {}", source.name, content.size(), std::hash<std::string_view>{}(content));
}

// What must be the same for a journal to be gone on with.
std::string JournalKey(const SpeechRun& run, const MediaSource& source) {
  const SpeechArgs& args = run.args;
  return fmt::format("{} | {} | {} | {:g} {:g} {:g}", IdentityOf(source), args.model.model,
                     run.transcriber.language(), args.hearing.split.max_seconds,
                     args.hearing.split.pause_seconds, args.hearing.split.pad_seconds);
}

bool IsNewer(const std::string& output, const std::string& input) {
  std::error_code error;
  const auto made = fs::last_write_time(output, error);
  if (error) return false;
  const auto changed = fs::last_write_time(input, error);
  return !error && made >= changed;
}

// The transcript as it grows: on standard output at once, for a file collected until it is complete.
class Output {
 public:
  Output(const SpeechArgs& args, const std::string& file, bool to_file)
      : writer_(FormatOf(args.format), args.timestamps, file), to_file_(to_file) {
    Put(writer_.Begin());
  }
  void Add(const Utterance& utterance) {
    Put(writer_.Add(utterance));
    cut_ += utterance.cut;
    end_ = utterance.end;
  }
  // The file as it would be if the recording ended here.
  std::string SoFar() const { return content_ + writer_.End(end_); }
  // For a person, when nothing more comes.
  void Note(const std::string& text) {
    if (!text.empty()) notes_.push_back(text);
  }
  const std::vector<std::string>& notes() const { return notes_; }
  // Closes what is open; `seconds` is the length of the recording, `broken` why it is not longer.
  const std::string& End(double seconds, const std::string& broken = {}) {
    if (cut_ > 0) {
      Note(
          fmt::format("in {} piece{} the model repeated itself and was stopped", cut_, cut_ == 1 ? "" : "s"));
    }
    std::vector<std::string> all = notes_;
    if (!broken.empty()) all.push_back("it cannot be read any further: " + broken);
    Put(writer_.End(seconds, all));
    return content_;
  }
  double end() const { return end_; }  // of the last utterance

 private:
  void Put(const std::string& text) { to_file_ ? void(content_ += text) : Write(text); }

  TranscriptWriter writer_;
  bool to_file_;
  std::string content_;
  std::vector<std::string> notes_;
  int64_t cut_ = 0;
  double end_ = 0;
};

void Tell(const SpeechArgs& args, const std::string& name, const std::string& text) {
  if (!args.quiet) Say("linnet: {}: {}\n", name, text);
}

// Notes go to standard error and into the transcript, which is closed, and put in its place where it goes to
// a file.
Status Close(const SpeechArgs& args, const std::string& name, const std::string& path, const Heard& heard,
             Output& output) {
  const std::string& content = output.End(heard.seconds, heard.broken ? heard.broken->what : "");
  for (const std::string& text : output.notes()) Tell(args, name, text);
  return path.empty() ? Status() : WriteWholeFile(path, content);
}

}  // namespace

void DeclareSpeech(Args& args, SpeechArgs& values) {
  args.Given(values.given);
  args.Positional("FILE", values.files,
                  "recordings (WAV; FLAC, MP3, Ogg, M4A, WebM), videos; - is standard input", false);
  DeclareMic(args, values.mic);
  DeclareModel(args, values.model, false);
  DeclareDrafting(args, values.model);
  DeclareOverPlan(args, values.model.over_plan);
  DeclareCacheRam(args, values.model.cache_ram);
  args.Choice("-f,--format", values.format, {"txt", "srt", "vtt", "json"}, "form of the transcript");
  args.Option("-o,--output", values.output, "file, or directory for several; without it standard output");
  args.Flag("--timestamps", values.timestamps, "the time before each line of plain text");
  args.Flag("--again", values.again, "also files whose transcript is there already");
  args.Option("--piece-seconds", values.hearing.split.max_seconds,
              "longest piece that is heard at once, 1 to 30");
  args.Option("--pause-seconds", values.hearing.split.pause_seconds, "a silence of this length ends a piece");
  args.Option("--pad-seconds", values.hearing.split.pad_seconds,
              "silence around a piece that is heard with it");
  args.Option("--together", values.hearing.together,
              "pieces of a recording that are heard at once; each takes memory, none changes the text");
  args.Flag("--no-sandbox", values.no_sandbox, "decode media inside this process, without protection");
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
  LINNET_TRY(CheckMic(values.given, values.mic));
  LINNET_TRY(CheckNames(values));
  LINNET_TRY(CheckUseful(
      values.given,
      {{{"--again"}, !values.output.empty(), "is for files that -o names"},
       {{"--timestamps"}, values.format == "txt", "is for plain text; other forms have times anyway"},
       {{"--no-sandbox", "--together"}, !values.mic.on, "is for files"}}));
  if (values.hearing.together < 1 || values.hearing.together > kMostTogether) {
    return Fail(ErrorCode::kInvalidArgument, fmt::format("--together is {}", values.hearing.together),
                fmt::format("give 1 to {}", kMostTogether));
  }
  if (values.files.empty() == values.mic.on) return {};
  return values.mic.on
             ? Fail(ErrorCode::kInvalidArgument, "--mic and files are given", "do one after the other")
             : Fail(ErrorCode::kInvalidArgument, "no FILE is given",
                    "give recordings, or --mic to record now");
}

Result<TranscribeOptions> TranscribeOptionsOf(const SpeechArgs& values, const std::string& language) {
  TranscribeOptions options = values.hearing;
  options.language = language;
  LINNET_ASSIGN(options.draft, DraftsOf(values.model));
  if (values.mic.on) {
    options.split.lookahead_seconds = kLiveLookahead;
    options.together = 1;
  }
  return options;
}

Result<std::unique_ptr<Engine>> LoadSpeechModel(const SpeechArgs& values, const SessionOptions& session,
                                                TranscribeOptions& options) {
  MemoryUse use{.session = session, .conversations = options.together};
  use.fewer_conversations = !values.given.contains("--together");
  use.image_tokens = 0;
  use.sound_seconds = static_cast<int64_t>(std::ceil(options.split.max_seconds));
  use.knobs.conversations = values.mic.on ? "" : "--together N";
  LINNET_ASSIGN(std::unique_ptr<Engine> engine, LoadModel(values.model, use));
  options.together = std::min(options.together, engine->facts().conversations);
  return engine;
}

Result<std::string> OutputOf(const SpeechArgs& args, const std::string& file, const std::string& suffix) {
  if (args.output.empty()) return std::string();
  std::error_code ignored;
  const bool several = args.files.size() > 1;
  if (!several && !args.output.ends_with('/') && !fs::is_directory(args.output, ignored)) return args.output;
  LINNET_TRY(MakeDirectory(args.output));
  return (fs::path(args.output) / (fs::path(file).filename().string() + suffix)).string();
}

Status WriteDown(const SpeechRun& run, const MediaSource& source) {
  const SpeechArgs& args = run.args;
  LINNET_ASSIGN(const std::string path, OutputOf(args, source.FileName(), "." + args.format));
  const std::string journal_path = path + ".journal";
  std::error_code ignored;
  if (!path.empty() && !args.again && IsNewer(path, source.file) && !fs::exists(journal_path, ignored)) {
    Tell(args, source.name, fmt::format("{} is there already; --again writes it anew", path));
    return {};
  }
  LINNET_ASSIGN(AudioReader reader, run.loader.OpenAudio(source));
  std::optional<Journal> journal;
  if (!path.empty()) {
    LINNET_ASSIGN(journal, Journal::Open(journal_path, JournalKey(run, source)));
  }
  Output output(args, source.name, !path.empty());
  if (journal) {
    for (const Utterance& utterance : journal->done()) output.Add(utterance);
    if (output.end() > 0) Tell(args, source.name, fmt::format("goes on at {}", Clock(output.end())));
  }
  const double from = output.end();
  Position position(static_cast<double>(reader.expected_samples()) / static_cast<double>(kSampleRate), from);
  const auto heard = run.transcriber.Run(
      reader, from,
      [&](const Utterance& utterance) -> Status {
        position.Clear();
        output.Add(utterance);
        return journal ? journal->Append(utterance) : Status();
      },
      [&](double seconds) { position.Show(seconds); }, &run.cancel);
  position.Clear();
  if (!heard) {
    const bool stopped = heard.error().code == ErrorCode::kCancelled;
    if (stopped && journal) Tell(args, source.name, "stopped; the same command goes on where it was");
    if (!journal) output.End(output.end());
    if (stopped) return std::unexpected(heard.error());
    return Prefixed(source.name, heard.error());
  }
  output.Note(reader.note());
  LINNET_TRY(Close(args, source.name, path, *heard, output));
  if (journal) journal->Remove();
  return heard->broken ? Status(std::unexpected(*heard->broken)) : Status();
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
  const auto heard = transcriber.Run(reader, 0, [&](const Utterance& utterance) -> Status {
    output.Add(utterance);
    return path.empty() ? Status() : WriteWholeFile(path, output.SoFar());
  });
  if (!heard) {
    output.End(output.end());
    return Prefixed("microphone", heard.error());
  }
  output.Note(reader.note());
  LINNET_TRY(Close(args, "microphone", path, *heard, output));
  return heard->broken ? Prefixed("microphone", *heard->broken) : Status();
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
