#include "cli/media_args.h"

#include <fmt/core.h>

#include <algorithm>
#include <span>
#include <utility>

#include "cli/report.h"
#include "media/audio.h"
#include "media/patches.h"
#include "media/pdf.h"
#include "media/picture.h"
#include "media/voice.h"
#include "runtime/media_input.h"

namespace linnet {
namespace {

// Left for the text and the answer when `auto` shares the context out among pictures.
constexpr int64_t kTextTokens = 1024;
// The model card's limit for one sound. A longer one is cut into parts that are heard better: hearing fades
// beyond about 450 positions, 18 s.
constexpr int64_t kHearingSeconds = 30, kPartSeconds = 15;
constexpr size_t kMostTimesShown = 12;

void Note(const std::string& file, const std::string& note) {
  if (!note.empty()) Say("linnet: {}: {}\n", file, note);
}

std::unexpected<Error> NoSense(const std::string& file, const char* kind) {
  return Fail(ErrorCode::kUnsupported, fmt::format("{}: this model takes no {}", file, kind),
              "leave it out, or use a model with its multimodal part ('linnet info MODEL' lists the parts)");
}

class Loading {
 public:
  Loading(const MediaArgs& values, const ModelConfig& config, UserMessage& message,
          std::vector<MediaUse>& uses)
      : values_(values),
        config_(config),
        message_(message),
        uses_(uses),
        loader_({.sandbox = !values.no_sandbox}) {}

  Status Image(const MediaSource& source) {
    if (!config_.vision.present) return NoSense(source.name, "pictures");
    if (IsPdf(source)) return Pdf(source);
    LINNET_ASSIGN(const Picture picture, loader_.LoadPicture(source));
    return AddPicture(source.name, picture);
  }

  Status Sound(const MediaSource& source) {
    if (!config_.audio.present) return NoSense(source.name, "sound");
    LINNET_ASSIGN(const AudioClip clip, loader_.LoadAudio(source));
    Note(source.name, clip.info.note);
    return AddParts(source.name, "audio", clip.samples);
  }

  Status Microphone(const std::atomic<bool>& stop) {
    if (!config_.audio.present) return NoSense("microphone", "sound");
    const int64_t room = values_.context - kTextTokens - Tokens();
    const double seconds =
        static_cast<double>(room * config_.audio.frame_samples) / static_cast<double>(kSampleRate);
    if (seconds < 1) {
      return Fail(ErrorCode::kInvalidArgument,
                  fmt::format("a context of {} has no room left for a recording", values_.context),
                  "ask for a larger --context");
    }
    LINNET_ASSIGN(const AudioClip clip, RecordClip(values_.mic, seconds, stop));
    Note("microphone", clip.info.note);
    return AddParts("microphone", "audio", clip.samples);
  }

  Status Video(const MediaSource& source) {
    if (!config_.vision.present || config_.tokens.video < 0) return NoSense(source.name, "video");
    VideoOptions options;
    options.frames_per_second = values_.frames_per_second;
    options.max_frames = values_.max_frames;
    options.budget = std::stoll(values_.frame_tokens);  // one of the choices
    options.cell = config_.vision.cell();
    options.sound = config_.audio.present;
    LINNET_ASSIGN(VideoClip clip, loader_.LoadVideo(source, options));
    Note(source.name, clip.note);
    LINNET_ASSIGN(VideoInput video, MakeVideoInput(clip, config_));
    int64_t tokens = 0;
    for (const ImageInput& frame : video.frames) tokens += frame.rows;
    uses_.push_back({source.name, "video", tokens});
    message_.pictures.push_back(std::move(video));
    return clip.sound.empty() ? Status() : AddParts(source.name, "video sound", clip.sound);
  }

  const MediaLoader& loader() const { return loader_; }

 private:
  Status Pdf(const MediaSource& source) {
    LINNET_ASSIGN(const PageRanges ranges, ParsePages(values_.pages.empty() ? "1" : values_.pages));
    LINNET_ASSIGN(const std::vector<Picture> pages, LoadPdfPages(loader_, source, ranges));
    if (values_.pages.empty()) Note(source.name, "its first page is used; --pages 1-3 takes more");
    for (const Picture& page : pages) LINNET_TRY(AddPicture(source.name, page));
    return {};
  }

  Status AddPicture(const std::string& name, const Picture& picture) {
    const int64_t budget = Budget(picture);
    auto image = MakeImageInput(picture, budget, config_);
    if (!image) return Prefixed(name, image.error());
    Note(name, picture.note);
    TellSize(name, picture, budget);
    uses_.push_back({name, "image", image->rows});
    message_.pictures.push_back(std::move(*image));
    return {};
  }

  int64_t Budget(const Picture& picture) const {
    const int64_t own = config_.vision.num_soft_tokens;
    if (values_.image_tokens == "model") return own;
    if (values_.image_tokens != "auto") return std::stoll(values_.image_tokens);  // one of the choices
    const auto pictures = static_cast<int64_t>(values_.images.size());
    const int64_t room =
        values_.context > 0 ? (values_.context - kTextTokens) / std::max<int64_t>(1, pictures) : 0;
    return AutoBudget(picture.height, picture.width, own, config_.vision.cell(), room);
  }

  void TellSize(const std::string& name, const Picture& picture, int64_t budget) const {
    const auto target = TargetSize(picture.height, picture.width, budget, config_.vision.cell());
    if (!target || (target->height >= picture.height && target->width >= picture.width)) return;
    const bool most = budget == kImageBudgets.back() || values_.image_tokens == "auto";
    Note(name, fmt::format("{} x {} pixels are shrunk to {} x {} for {} tokens: small detail is lost{}",
                           picture.width, picture.height, target->width, target->height, target->soft_tokens,
                           most ? "; cut out what matters" : "; a larger --image-tokens shows more"));
  }

  // Of all media so far.
  int64_t Tokens() const {
    int64_t tokens = 0;
    for (const MediaUse& use : uses_) tokens += use.soft_tokens;
    return tokens;
  }

  // A sound longer than the model hears at once becomes several, cut at its pauses.
  Status AddParts(const std::string& name, const char* kind, std::span<const float> samples) {
    if (samples.empty()) return Fail(ErrorCode::kBadFile, name + " holds no sound", "leave it out");
    std::vector<std::span<const float>> parts = {samples};
    if (static_cast<int64_t>(samples.size()) > kHearingSeconds * kSampleRate) {
      LINNET_ASSIGN(parts, CutAtPauses(samples, kPartSeconds * kSampleRate));
    }
    int64_t tokens = 0;
    for (const auto& part : parts) {
      tokens += FrameCount(static_cast<int64_t>(part.size()), config_.audio.frame_samples);
    }
    uses_.push_back({name, kind, tokens});
    const double seconds = static_cast<double>(samples.size()) / static_cast<double>(kSampleRate);
    const int64_t all = Tokens();
    if (values_.context > 0 && all > values_.context) {
      return Fail(
          ErrorCode::kInvalidArgument,
          fmt::format("{}: {:.0f} s of sound are {} tokens{}, and the context holds {}", name, seconds,
                      tokens, all > tokens ? fmt::format(", {} with the other media", all) : "",
                      values_.context),
          "write it down with 'linnet transcribe', give less of it, or ask for a larger --context");
    }
    if (parts.size() > 1) TellParts(name, parts, seconds, tokens);
    for (const auto& part : parts) message_.sounds.push_back(AudioInput{std::vector<float>(part.begin(), part.end())});
    return {};
  }

  static void TellParts(const std::string& name, std::span<const std::span<const float>> parts,
                        double seconds, int64_t tokens) {
    std::string times;
    size_t at = 0;
    for (size_t i = 0; i + 1 < parts.size() && i < kMostTimesShown; ++i) {
      at += parts[i].size();
      times += fmt::format("{}{:.1f}", i == 0 ? "" : ", ",
                           static_cast<double>(at) / static_cast<double>(kSampleRate));
    }
    Note(name, fmt::format(
                   "{:.0f} s are given as {} sounds of at most {} s, {} tokens, cut in the pauses at {} s{}; "
                   "'linnet transcribe' writes down long recordings",
                   seconds, parts.size(), kPartSeconds, tokens, times,
                   parts.size() - 1 > kMostTimesShown ? " …" : ""));
  }

  const MediaArgs& values_;
  const ModelConfig& config_;
  UserMessage& message_;
  std::vector<MediaUse>& uses_;
  MediaLoader loader_;
};

}  // namespace

void DeclareMedia(Args& args, MediaArgs& values) {
  args.Option("--image", values.images,
              "a picture (PNG, JPEG, WebP, HEIC, AVIF, GIF, BMP, TIFF) or a PDF; can be given again");
  args.Option("--pages", values.pages, "pages of a PDF, as 1-3 or 2,5; the first if none are named");
  args.Option("--audio", values.audio, "a sound (WAV; FLAC, MP3, Ogg, M4A, WebM); can be given again");
  args.Option("--video", values.videos, "a video (MP4, WebM, WMV) with its sound track; can be given again");
  args.Choice("--image-tokens", values.image_tokens, {"auto", "model", "70", "140", "280", "560", "1120"},
              "tokens a picture may take: more show more detail; auto = enough not to shrink it");
  args.Option("--fps", values.frames_per_second, "frames of a video a second");
  args.Option("--max-frames", values.max_frames,
              "frames of a video at most; a longer one is sampled more thinly");
  args.Choice("--frame-tokens", values.frame_tokens, {"70", "140", "280", "560", "1120"},
              "tokens a video frame may take");
  args.Flag("--no-sandbox", values.no_sandbox, "decode media inside this process, without protection");
  DeclareMic(args, values.mic);
}

Status LoadMedia(const MediaArgs& values, const ModelConfig& config, UserMessage& message,
                 std::vector<MediaUse>& uses) {
  if (values.images.empty() && values.videos.empty() && values.audio.empty()) return {};
  Loading loading(values, config, message, uses);
  WarnOfWeakness(loading.loader());
  const size_t first = uses.size();
  const std::pair<const std::vector<std::string>&, Status (Loading::*)(const MediaSource&)> kinds[] = {
      {values.images, &Loading::Image}, {values.videos, &Loading::Video}, {values.audio, &Loading::Sound}};
  for (const auto& [files, load] : kinds) {
    for (const std::string& file : files) {
      LINNET_ASSIGN(const MediaSource source, ParseMediaAddress(file));
      LINNET_TRY((loading.*load)(source));
    }
  }
  for (size_t i = first; i < uses.size(); ++i) uses[i].unprotected = loading.loader().Weakness();
  return {};
}

Status LoadAttachment(const Attachment& attachment, const MediaArgs& values, const ModelConfig& config,
                      UserMessage& message, std::vector<MediaUse>& uses) {
  Loading loading(values, config, message, uses);
  WarnOfWeakness(loading.loader());
  const std::string& kind = attachment.kind;
  return kind == "image"   ? loading.Image(attachment.source)
         : kind == "audio" ? loading.Sound(attachment.source)
                           : loading.Video(attachment.source);
}

Status LoadMic(const MediaArgs& values, const ModelConfig& config, const std::atomic<bool>& stop,
               UserMessage& message, std::vector<MediaUse>& uses) {
  return Loading(values, config, message, uses).Microphone(stop);
}

void WarnOfWeakness(const MediaLoader& loader) {
  static bool told = false;
  const std::string weakness = loader.Weakness();
  if (told || weakness.empty()) return;
  told = true;
  Say("linnet: {}\n", weakness);
}

}  // namespace linnet
