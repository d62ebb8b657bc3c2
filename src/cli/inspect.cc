// linnet inspect: shows what the model gets of a picture, a sound or a video.
#include <fmt/core.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/printable.h"
#include "base/write_file.h"
#include "cli/commands.h"
#include "cli/media_args.h"
#include "cli/report.h"
#include "media/audio.h"
#include "media/draw.h"
#include "media/media_loader.h"
#include "media/patches.h"
#include "media/pdf.h"
#include "media/resize.h"
#include "media/voice.h"
#include "runtime/media_input.h"

namespace linnet {
namespace {

constexpr int64_t kModelBudget = 280;  // the 12B's own default, where `auto` begins
constexpr int64_t kSheetColumns = 6;
constexpr size_t kPiece = 1 << 15;

struct InspectArgs {
  std::vector<std::string> files;
  std::string directory = ".";
  std::string pages = "1";
  std::string image_tokens = "auto";
  double frames_per_second = 1.0;
  int64_t max_frames = 60;
  double max_seconds = SplitOptions{}.max_seconds;
  bool no_sandbox = false;
  std::set<std::string> given;
};

// What the files are; one that is nothing known may be anything.
struct Kinds {
  bool pdf = false, picture = false, sound = false, video = false;
};

Kinds KindsOf(std::span<const Result<MediaSource>> sources) {
  Kinds kinds;
  for (const Result<MediaSource>& source : sources) {
    const auto format = source ? RecogniseMedia(*source) : Result<MediaFormat>(MediaFormat{});
    const MediaKind kind = format ? format->kind : MediaKind::kUnknown;
    const bool unknown = kind == MediaKind::kUnknown;
    kinds.pdf |= unknown || kind == MediaKind::kPdf;
    kinds.picture |= unknown || kind == MediaKind::kPicture;
    kinds.sound |= unknown || kind == MediaKind::kSound;
    kinds.video |= unknown || kind == MediaKind::kVideo;
  }
  return kinds;
}

Status CheckOptions(const InspectArgs& args, std::span<const Result<MediaSource>> sources) {
  const Kinds kinds = KindsOf(sources);
  return CheckUseful(
      args.given,
      {{{"--pages"}, kinds.pdf, "is for PDFs"},
       {{"--image-tokens"}, kinds.pdf || kinds.picture || kinds.video, "is for pictures and videos"},
       {{"--fps", "--max-frames"}, kinds.video, "is for videos"},
       {{"--piece-seconds"}, kinds.sound || kinds.video, "is for sounds"}});
}

class Inspection {
 public:
  explicit Inspection(const InspectArgs& args) : args_(args), loader_({.sandbox = !args.no_sandbox}) {}

  Status Inspect(const MediaSource& source) {
    LINNET_ASSIGN(const MediaFormat format, RecogniseMedia(source));
    if (format.kind == MediaKind::kPdf) return Pages(source);
    if (format.kind == MediaKind::kSound) return Sound(source);
    // Which also says what an unknown file is.
    if (format.kind != MediaKind::kVideo) return ShowPicture(source);
    // MP4 and WebM may hold sound alone.
    const Status video = Video(source);
    if (video || video.error().code != ErrorCode::kUnsupported) return video;
    if (!Sound(source)) return video;
    Say("linnet: {}; its sound alone is shown\n", video.error().what);
    return {};
  }

  const MediaLoader& loader() const { return loader_; }
  // Whether a sound was cut into pieces; not known of a video before it is opened.
  bool showed_pieces() const { return showed_pieces_; }

 private:
  Status Pages(const MediaSource& source) {
    LINNET_ASSIGN(const PageRanges ranges, ParsePages(args_.pages));
    LINNET_ASSIGN(const std::vector<Picture> pages, LoadPdfPages(loader_, source, ranges));
    for (const Picture& page : pages) LINNET_TRY(Show(source, page));
    return {};
  }

  Status ShowPicture(const MediaSource& source) {
    LINNET_ASSIGN(const Picture picture, loader_.LoadPicture(source));
    return Show(source, picture);
  }

  Status Show(const MediaSource& source, const Picture& picture) {
    Write(fmt::format("{}: {}, {} x {} pixels\n", Printable(source.name), picture.format, picture.width,
                      picture.height));
    if (!picture.note.empty()) Write("  note: " + Printable(picture.note) + "\n");
    const int64_t chosen = args_.image_tokens == "auto"
                               ? AutoBudget(picture.height, picture.width, kModelBudget, kCell)
                               : std::stoll(args_.image_tokens);
    for (const int64_t budget : kImageBudgets) {
      LINNET_ASSIGN(const ImageTarget target, TargetSize(picture.height, picture.width, budget));
      const bool smaller = target.height < picture.height || target.width < picture.width;
      Write(fmt::format("  {} budget {:4}: {:5} x {:5} pixels, {:4} x {:3} cells, {:4} tokens{}\n",
                        budget == chosen ? "*" : " ", budget, target.width, target.height, target.columns,
                        target.rows, target.soft_tokens, smaller ? ", small detail is lost" : ""));
    }
    LINNET_ASSIGN(const ImageTarget target, TargetSize(picture.height, picture.width, chosen));
    Picture shown = Resize(picture, target.height, target.width);
    DrawGrid(shown, kCell);
    return Save(source, shown);
  }

  Status Sound(const MediaSource& source) {
    LINNET_ASSIGN(AudioReader reader, loader_.OpenAudio(source));
    LINNET_ASSIGN(VoiceSplitter splitter, VoiceSplitter::Create({.max_seconds = args_.max_seconds}));
    WaveformDrawer drawer;
    std::vector<std::string> lines;
    const auto drain = [&] {
      while (const auto piece = splitter.Next()) {
        drawer.AddPiece(piece->begin_seconds(), piece->end_seconds());
        lines.push_back(fmt::format("  piece {:4}: {:8.2f} s to {:8.2f} s, {:4} tokens\n", lines.size() + 1,
                                    piece->begin_seconds(), piece->end_seconds(),
                                    FrameCount(static_cast<int64_t>(piece->samples.size()))));
      }
    };
    std::vector<float> samples(kPiece);
    for (size_t count = kPiece; count == kPiece;) {
      LINNET_ASSIGN(count, reader.Read(samples));
      splitter.Push(std::span(samples).first(count));
      drawer.Push(std::span(samples).first(count));
      drain();
    }
    splitter.Finish();
    drain();
    showed_pieces_ = true;
    const AudioInfo& info = reader.info();
    Write(fmt::format("{}: {}, {} Hz, {} channel{}, {:.2f} s, {} tokens\n", Printable(source.name),
                      info.format, info.rate, info.channels, info.channels == 1 ? "" : "s",
                      static_cast<double>(splitter.samples()) / static_cast<double>(kSampleRate),
                      FrameCount(splitter.samples())));
    if (const std::string note = reader.note(); !note.empty()) Write("  note: " + Printable(note) + "\n");
    if (lines.empty()) Write("  nothing can be heard\n");
    for (const std::string& line : lines) Write(line);
    return Save(source, drawer.Draw());
  }

  Status Video(const MediaSource& source) {
    VideoOptions options;
    options.frames_per_second = args_.frames_per_second;
    options.max_frames = args_.max_frames;
    if (args_.image_tokens != "auto") options.budget = std::stoll(args_.image_tokens);
    LINNET_ASSIGN(VideoClip clip, loader_.impl().LoadVideo(source, options));
    const VideoInfo& info = clip.info;
    const Picture& first = clip.frames.front().picture;
    const int64_t frame_tokens = first.height / kCell * (first.width / kCell);
    Write(fmt::format("{}: {}, {} x {} pixels, {:.2f} frames a second, {:.2f} s\n", Printable(source.name),
                      info.format, info.width, info.height, info.fps, info.seconds));
    if (!clip.note.empty()) Write("  note: " + Printable(clip.note) + "\n");
    Write(fmt::format("  {} frame{} of {} x {} pixels, {} tokens each, {} together\n", clip.frames.size(),
                      clip.frames.size() == 1 ? "" : "s", first.width, first.height, frame_tokens,
                      frame_tokens * static_cast<int64_t>(clip.frames.size())));
    std::vector<Picture> frames;
    for (ClipFrame& frame : clip.frames) {
      Write(fmt::format("  frame {:3}: {:8.2f} s, told as {}\n", frames.size() + 1, frame.seconds,
                        ClipTimestamp(frame.seconds)));
      DrawGrid(frame.picture, kCell);
      frames.push_back(std::move(frame.picture));
    }
    Write(clip.sound.empty() ? std::string("  no sound\n")
                             : fmt::format("  sound: {:.2f} s, {} tokens\n",
                                           static_cast<double>(clip.sound.size()) / kSampleRate,
                                           FrameCount(static_cast<int64_t>(clip.sound.size()))));
    return Save(source, ContactSheet(frames, kSheetColumns));
  }

  // NAME.inspect.png in the directory asked for; a second file of the same name gets a number.
  Status Save(const MediaSource& source, const Picture& picture) {
    LINNET_ASSIGN(const std::vector<uint8_t> png, EncodePng(picture));
    const std::string stem = source.FileName();
    auto path = std::filesystem::path(args_.directory) / (stem + ".inspect.png");
    for (int number = 2; !written_.insert(path.string()).second; ++number) {
      path = std::filesystem::path(args_.directory) / fmt::format("{}.{}.inspect.png", stem, number);
    }
    LINNET_TRY(WriteWholeFile(path, {reinterpret_cast<const char*>(png.data()), png.size()}));
    Write(fmt::format("  shown in {}\n", Printable(path.string())));
    return {};
  }

  const InspectArgs& args_;
  MediaLoader loader_;
  bool showed_pieces_ = false;
  std::set<std::string> written_;
};

Result<int> Run(const InspectArgs& args) {
  // Once for each file: a pipe can be read only once.
  std::vector<Result<MediaSource>> sources;
  for (const std::string& file : args.files) sources.push_back(ParseMediaAddress(file));
  LINNET_TRY(CheckOptions(args, sources));
  LINNET_TRY(MakeDirectory(args.directory));
  Inspection inspection(args);
  WarnOfWeakness(inspection.loader());
  int code = kExitDone;
  for (const Result<MediaSource>& source : sources) {
    const Status status = source ? inspection.Inspect(*source) : Status(std::unexpected(source.error()));
    if (!status) code = std::max(code, Report(status.error()));
  }
  if (code != kExitDone) return code;
  LINNET_TRY(CheckUseful(args.given,
                         {{{"--piece-seconds"}, inspection.showed_pieces(), "is for sounds without video"}}));
  return kExitDone;
}

}  // namespace

Command InspectCommand() {
  return {"inspect", "show what the model gets of a picture, a sound or a video", [](Args& args) {
            auto values = std::make_shared<InspectArgs>();
            args.Given(values->given);
            args.Positional("FILE", values->files, "pictures, PDFs, sounds, videos; - is standard input");
            args.Option("-o,--output", values->directory,
                        "directory for the pictures FILE.inspect.png, made where it is not there");
            args.Choice("--image-tokens", values->image_tokens, {"auto", "70", "140", "280", "560", "1120"},
                        "tokens of a picture or a video frame (frames: 70 where it is auto)");
            args.Option("--pages", values->pages, "pages of a PDF, as 1-3 or 2,5");
            args.Option("--fps", values->frames_per_second, "frames of a video a second");
            args.Option("--max-frames", values->max_frames, "frames of a video at most");
            args.Option("--piece-seconds", values->max_seconds,
                        "longest piece that 'linnet transcribe' hears at once");
            args.Flag("--no-sandbox", values->no_sandbox,
                      "decode media inside this process, without protection");
            args.Footer(
                "A picture is shown as the model sees it, with the grid of its tokens; a video as its "
                "frames; a sound as\n"
                "a waveform with the pieces it is cut into for transcription.\n"
                "Examples:\n  linnet inspect page.png --image-tokens 1120\n  linnet inspect talk.mp3 "
                "film.mp4 -o /tmp\n");
            return [values] { return Run(*values); };
          }};
}

}  // namespace linnet
