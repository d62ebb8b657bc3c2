#include "runtime/media_composer.h"

#include <algorithm>
#include <span>
#include <utility>

#include <fmt/format.h>

#include "base/memory_guard.h"
#include "media/patches.h"
#include "media/pdf.h"
#include "media/voice.h"
#include "runtime/media_input.h"

namespace linnet {
namespace {

// Kept for the answer where there is more room: a quarter of it, but not more than this.
constexpr int64_t kAnswerTokens = 1024;
static_assert(MediaOptions().frame_tokens == kVideoFrameBudget);
// Around a medium or a frame, and the time before a frame.
constexpr int64_t kMarkerTokens = 2, kTimeTokens = 8;
// The model card's limit for one sound. A longer one is cut into parts that are heard better: hearing fades
// beyond about 450 positions, 18 s.
constexpr int64_t kHearingSeconds = 30, kPartSeconds = 15;
constexpr size_t kMostTimesShown = 12;

double Seconds(size_t samples) { return static_cast<double>(samples) / static_cast<double>(kSampleRate); }

// Of what may go, as much as leaves half of the context: what a message can do without makes nobody go.
int64_t Usable(MediaRoom room) {
  const int64_t stays = std::max(room.taken - room.can_go, std::min(room.taken, room.context / 2));
  const int64_t left = room.context - stays;
  return left - std::min(kAnswerTokens, left / 4);
}

Status CheckSense(const ModelConfig& config, const std::string& name, MediaKind kind) {
  const bool sound = kind == MediaKind::kSound, video = kind == MediaKind::kVideo;
  if (sound ? config.audio.present : config.vision.present && (!video || config.tokens.video >= 0)) return {};
  return Fail(ErrorCode::kUnsupported,
              fmt::format("{}: this model takes no {}", name,
                          sound   ? "sound"
                          : video ? "video"
                                  : "pictures"),
              "leave it out, or use a model with its multimodal part ('linnet info MODEL' lists the parts)");
}

int64_t SoftTokens(const MediaInput& medium, const ModelConfig& config) {
  if (const auto* image = std::get_if<ImageInput>(&medium)) return image->rows;
  if (const auto* sound = std::get_if<AudioInput>(&medium)) return sound->rows(config.audio);
  int64_t tokens = 0;
  for (const ImageInput& frame : std::get<VideoInput>(medium).frames) tokens += frame.rows;
  return tokens;
}

// With what stands around them.
int64_t Cost(const MediaInput& medium, const ModelConfig& config) {
  int64_t around = kMarkerTokens;
  if (const auto* video = std::get_if<VideoInput>(&medium)) {
    around = static_cast<int64_t>(video->frames.size()) * (kMarkerTokens + kTimeTokens);
  }
  return SoftTokens(medium, config) + around;
}

MediaUse UseOf(const std::string& name, const char* kind, const std::string& note) {
  MediaUse use{name, kind};
  if (!note.empty()) use.notes.push_back(note);
  return use;
}

// What one part became.
struct Composed {
  std::vector<MediaInput> media;
  std::vector<MediaUse> uses;
};

class Composer {
 public:
  Composer(const MediaLoader& loader, const ModelConfig& config, MediaRoom room)
      : loader_(loader), config_(config), room_(room) {}

  // First what takes as much as it takes, then what can do with less.
  Result<std::vector<MediaUse>> Compose(std::vector<MediaPart>& parts, UserMessage& message) {
    composed_.resize(parts.size());
    for (MediaPart& part : parts) LINNET_TRY(Recognise(part));
    for (const bool flexible : {false, true}) {
      for (size_t i = 0; i < parts.size(); ++i) {
        if (IsFlexible(parts[i]) == flexible) LINNET_TRY(Load(parts[i], composed_[i]));
      }
      if (!flexible) ThinVideos();
      LINNET_TRY(CheckRoom());
    }
    return Take(parts, message);
  }

 private:
  static bool IsFlexible(const MediaPart& part) {
    return (part.kind == MediaKind::kPicture || part.kind == MediaKind::kPdf) &&
           part.options.image_tokens == 0;
  }

  Status Recognise(MediaPart& part) {
    if (const auto* source = std::get_if<MediaSource>(&part.content)) {
      part.name = source->name;
      if (part.kind == MediaKind::kUnknown) {
        LINNET_ASSIGN(const MediaFormat format, RecogniseMedia(*source));
        // Loading it as a picture says what it is.
        part.kind = format.kind == MediaKind::kUnknown ? MediaKind::kPicture : format.kind;
      }
      if (part.kind == MediaKind::kPicture && IsPdf(*source)) part.kind = MediaKind::kPdf;
    } else {
      part.kind = std::holds_alternative<Picture>(part.content) ? MediaKind::kPicture : MediaKind::kSound;
    }
    LINNET_TRY(CheckSense(config_, part.name, part.kind));
    PageRanges pages = {{1, 1}};
    if (part.kind == MediaKind::kPdf) {
      LINNET_ASSIGN(pages, PagesOf(part));
      // How many there are to share the room is not known yet.
      const bool open = pages.back().second == kToLastPage;
      if (open && IsFlexible(part)) part.options.image_tokens = kModelImageTokens;
    }
    for (const auto& [first, last] : pages) waiting_ += IsFlexible(part) ? last - first + 1 : 0;
    return {};
  }

  static Result<PageRanges> PagesOf(const MediaPart& part) {
    return ParsePages(part.options.pages.empty() ? "1" : part.options.pages);
  }

  Status Load(MediaPart& part, Composed& out) {
    if (const auto* picture = std::get_if<Picture>(&part.content)) return AddPicture(part, *picture, out);
    if (auto* clip = std::get_if<AudioClip>(&part.content)) {
      return AddSound(UseOf(part.name, "audio", clip->info.note), std::move(clip->samples), out);
    }
    const auto& source = std::get<MediaSource>(part.content);
    if (part.kind == MediaKind::kPdf) return AddPages(part, source, out);
    if (part.kind == MediaKind::kVideo) return AddVideo(part, source, out);
    if (part.kind == MediaKind::kSound) {
      LINNET_ASSIGN(AudioClip clip, loader_.impl().LoadAudio(source));
      return AddSound(UseOf(part.name, "audio", clip.info.note), std::move(clip.samples), out);
    }
    LINNET_ASSIGN(const Picture picture, loader_.LoadPicture(source));
    return AddPicture(part, picture, out);
  }

  Status AddPages(const MediaPart& part, const MediaSource& source, Composed& out) {
    LINNET_ASSIGN(const PageRanges ranges, PagesOf(part));
    LINNET_ASSIGN(const std::vector<Picture> pages, LoadPdfPages(loader_, source, ranges));
    for (const Picture& page : pages) LINNET_TRY(AddPicture(part, page, out));
    if (part.options.pages.empty()) {
      out.uses.back().notes.emplace_back("its first page is used; --pages 1-3 takes more");
    }
    return {};
  }

  Status AddPicture(const MediaPart& part, const Picture& picture, Composed& out) {
    const int64_t own = config_.vision.num_soft_tokens, cell = config_.vision.cell();
    const int64_t asked = part.options.image_tokens;
    int64_t budget = asked == kModelImageTokens ? own : asked, wanted = budget;
    if (budget == 0) {
      const int64_t share = (Usable(room_) - Used()) / waiting_-- - kMarkerTokens;
      wanted = AutoBudget(picture.height, picture.width, own, cell);
      budget = AutoBudget(picture.height, picture.width, own, cell, std::max(share, kImageBudgets.front()));
    }
    auto image = MakeImageInput(picture, budget, config_);
    if (!image) return Prefixed(part.name, image.error());
    MediaUse use = UseOf(part.name, "image", picture.note);
    use.soft_tokens = image->rows;
    LINNET_ASSIGN(const ImageTarget target, TargetSize(picture.height, picture.width, budget, cell));
    const bool shrunk = target.height < picture.height || target.width < picture.width;
    if (shrunk) {
      const bool most = budget == kImageBudgets.back() || part.options.image_tokens == 0;
      use.notes.push_back(
          fmt::format("{} x {} pixels are shrunk to {} x {} for {} tokens: small detail is lost; {}",
                      picture.width, picture.height, target.width, target.height, target.soft_tokens,
                      budget < wanted ? "the context has no room for more"
                      : most          ? "cut out what matters"
                                      : "a larger --image-tokens shows more"));
    } else if (budget < wanted) {
      use.notes.push_back(
          fmt::format("it is given {} tokens instead of up to {}: the context has no room for more",
                      image->rows, wanted));
    }
    out.uses.push_back(std::move(use));
    out.media.push_back(std::move(*image));
    return {};
  }

  Status AddVideo(const MediaPart& part, const MediaSource& source, Composed& out) {
    VideoOptions options;
    options.frames_per_second = part.options.frames_per_second;
    options.max_frames = part.options.max_frames;
    options.budget = part.options.frame_tokens;
    options.cell = config_.vision.cell();
    options.sound = config_.audio.present;
    LINNET_ASSIGN(VideoClip clip, loader_.impl().LoadVideo(source, options));
    LINNET_ASSIGN(VideoInput video, MakeVideoInput(clip, config_));
    out.uses.push_back(UseOf(part.name, "video", clip.note));
    out.media.push_back(std::move(video));
    out.uses.back().soft_tokens = SoftTokens(out.media.back(), config_);
    if (clip.sound.empty()) return {};
    return AddSound(UseOf(part.name, "video sound", ""), std::move(clip.sound), out);
  }

  // A sound longer than the model hears at once becomes several, cut at its pauses.
  Status AddSound(MediaUse use, std::vector<float> samples, Composed& out) {
    if (samples.empty()) return Fail(ErrorCode::kBadFile, use.file + " holds no sound", "leave it out");
    const SharedArray<float> sound(std::move(samples));
    std::vector<std::span<const float>> parts = {sound};
    if (static_cast<int64_t>(sound.size()) > kHearingSeconds * kSampleRate) {
      LINNET_ASSIGN(parts, CutAtPauses(sound, kPartSeconds * kSampleRate));
    }
    for (const auto& part : parts) {
      const auto first = static_cast<size_t>(part.data() - sound.data());
      out.media.push_back(AudioInput{sound.Slice(first, part.size())});
      use.soft_tokens += SoftTokens(out.media.back(), config_);
    }
    if (parts.size() > 1) use.notes.push_back(PartsNote(parts, Seconds(sound.size()), use.soft_tokens));
    out.uses.push_back(std::move(use));
    return {};
  }

  static std::string PartsNote(std::span<const std::span<const float>> parts, double seconds,
                               int64_t tokens) {
    std::string times;
    size_t at = 0;
    for (size_t i = 0; i + 1 < parts.size() && i < kMostTimesShown; ++i) {
      at += parts[i].size();
      times += fmt::format("{}{:.1f}", i == 0 ? "" : ", ", Seconds(at));
    }
    return fmt::format(
        "{:.0f} s are given as {} sounds of at most {} s, {} tokens, cut in the pauses at {} s{}; "
        "'linnet transcribe' writes down long recordings",
        seconds, parts.size(), kPartSeconds, tokens, times, parts.size() - 1 > kMostTimesShown ? " …" : "");
  }

  // Leaves the pictures that wait at least their smallest budget.
  void ThinVideos() {
    const auto is_video = [](const MediaInput& medium) { return std::holds_alternative<VideoInput>(medium); };
    int64_t all = 0;
    for (const Composed& part : composed_) {
      for (const MediaInput& medium : part.media) all += is_video(medium) ? Cost(medium, config_) : 0;
    }
    const int64_t others = Used() - all + waiting_ * (kImageBudgets.front() + kMarkerTokens);
    const int64_t room = std::max<int64_t>(0, Usable(room_) - others);
    for (Composed& part : composed_) {
      if (all <= room || part.media.empty() || !is_video(part.media.front())) continue;
      Thin(std::get<VideoInput>(part.media.front()), part.uses.front(), room, all);
      part.uses.front().soft_tokens = SoftTokens(part.media.front(), config_);
    }
  }

  // Keeps room / all of the frames.
  static void Thin(VideoInput& video, MediaUse& use, int64_t room, int64_t all) {
    const auto frames = static_cast<int64_t>(video.frames.size());
    const int64_t kept = std::max<int64_t>(1, frames * room / all);
    if (kept == frames) return;
    VideoInput few;
    for (int64_t i = 0; i < kept; ++i) {
      few.frames.push_back(video.frames[static_cast<size_t>(i * frames / kept)]);
      few.timestamps.push_back(video.timestamps[static_cast<size_t>(i * frames / kept)]);
    }
    video = std::move(few);
    use.notes.push_back(
        fmt::format("the context has no room for {} frames: {} of them are used, evenly", frames, kept));
  }

  // Of all media so far, with what stands around them.
  int64_t Used() const {
    int64_t tokens = 0;
    for (const Composed& part : composed_) {
      for (const MediaInput& medium : part.media) tokens += Cost(medium, config_);
    }
    return tokens;
  }

  Status CheckRoom() const {
    const int64_t left = std::max<int64_t>(0, room_.context - room_.taken + room_.can_go);
    if (Used() <= left) return {};
    const MediaUse* largest = nullptr;
    int64_t tokens = 0;
    for (const Composed& part : composed_) {
      for (const MediaUse& use : part.uses) {
        tokens += use.soft_tokens;
        if (largest == nullptr || use.soft_tokens > largest->soft_tokens) largest = &use;
      }
    }
    const bool sound = largest->kind.ends_with("sound") || largest->kind == "audio";
    const double seconds = Seconds(static_cast<size_t>(largest->soft_tokens * config_.audio.frame_samples));
    return Fail(
        ErrorCode::kInvalidArgument,
        fmt::format("{}: {} {} tokens{}, and the context holds {}, {} of them beside the text", largest->file,
                    sound ? fmt::format("{:.0f} s of sound are", seconds)
                          : fmt::format("the {} takes", largest->kind),
                    largest->soft_tokens,
                    tokens > largest->soft_tokens ? fmt::format(", {} with the other media", tokens) : "",
                    room_.context, left),
        sound ? "write it down with 'linnet transcribe', give less of it, or ask for a larger --context"
              : "give fewer media or smaller ones, or ask for a larger --context");
  }

  Result<std::vector<MediaUse>> Take(const std::vector<MediaPart>& parts, UserMessage& message) {
    std::vector<MediaUse> uses;
    std::vector<Medium> pictures = message.pictures, sounds = message.sounds;
    for (size_t i = 0; i < parts.size(); ++i) {
      Composed& part = composed_[i];
      const bool decoded = std::holds_alternative<MediaSource>(parts[i].content);
      for (MediaUse& use : part.uses) use.unprotected = decoded ? loader_.Weakness() : "";
      std::ranges::move(part.uses, std::back_inserter(uses));
      for (MediaInput& medium : part.media) {
        const bool sound = std::holds_alternative<AudioInput>(medium);
        (sound ? sounds : pictures).push_back(MakeMedium(std::move(medium)));
      }
    }
    message.pictures = std::move(pictures);
    message.sounds = std::move(sounds);
    return uses;
  }

  const MediaLoader& loader_;
  const ModelConfig& config_;
  MediaRoom room_;
  std::vector<Composed> composed_;
  int64_t waiting_ = 0;  // pictures that share what is left
};

}  // namespace

Result<std::vector<MediaUse>> AddMedia(const MediaLoader& loader, const ModelConfig& config, MediaRoom room,
                                       std::vector<MediaPart> parts, UserMessage& message) {
  return WithinMemory("the media of a message", "give fewer or smaller ones, or close other programs",
                      [&] { return Composer(loader, config, room).Compose(parts, message); });
}

Result<double> RoomForSound(const ModelConfig& config, MediaRoom room) {
  LINNET_TRY(CheckSense(config, "microphone", MediaKind::kSound));
  const double seconds = Seconds(
      static_cast<size_t>(std::max<int64_t>(0, Usable(room) - kMarkerTokens) * config.audio.frame_samples));
  if (seconds >= 1) return seconds;
  return Fail(ErrorCode::kInvalidArgument,
              fmt::format("a context of {} has no room left for a recording", room.context),
              "ask for a larger --context");
}

}  // namespace linnet
