#include "media/video_clip.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "base/mapped_file.h"
#include "media/container.h"
#include "media/loudness.h"
#include "media/note.h"
#include "media/picture_formats.h"
#include "media/resize.h"

namespace linnet {
namespace {

constexpr int64_t kMostFrames = 10'000;
constexpr size_t kSoundPiece = 1 << 14;

// Seconds between the frames to take of a video whose picture appears at `start`; says when the limit
// stretches it.
double StepOf(const VideoInfo& info, double start, const VideoOptions& options, std::string& note) {
  const double step = 1.0 / options.frames_per_second, length = info.seconds - start;
  const double wanted = std::ceil(length * options.frames_per_second - 1e-6);
  const double most = static_cast<double>(options.max_frames);
  if (length <= 0 || wanted <= most) return step;
  AddNote(note,
          fmt::format("{:.0f} s at {:g} frames a second are {:.0f} frames: {} are used, one every {:.1f} s",
                      length, options.frames_per_second, wanted, options.max_frames, length / most));
  return length / most;
}

Status AddFrame(TimedPicture frame, const VideoOptions& options, VideoClip& clip) {
  media_internal::ApplyOrientation(clip.info.orientation, frame.picture);
  LINNET_ASSIGN(const ImageTarget target,
                TargetSize(frame.picture.height, frame.picture.width, options.budget, options.cell));
  clip.frames.push_back({Resize(frame.picture, target.height, target.width), frame.seconds});
  return {};
}

// What is on screen when the picture appears, and at every multiple of the step behind that.
Status TakeFrames(FrameSource& source, const VideoOptions& options, VideoClip& clip) {
  LINNET_ASSIGN(std::optional<TimedPicture> frame, source.At(0));
  if (!frame) return {};
  const double start = frame->seconds, step = StepOf(clip.info, start, options, clip.note);
  double number = std::floor(start / step + 1e-6);
  while (frame) {
    LINNET_TRY(AddFrame(std::move(*frame), options, clip));
    if (static_cast<int64_t>(clip.frames.size()) == options.max_frames) break;
    number += 1;
    if (clip.info.seconds > 0 && step * number >= clip.info.seconds) return {};
    LINNET_ASSIGN(frame, source.At(step * number));
  }
  if (frame && clip.info.seconds <= 0) {
    AddNote(clip.note,
            fmt::format("the video does not tell its length: its first {} frames at {:g} a second are used",
                        options.max_frames, options.frames_per_second));
  }
  return {};
}

Status TakeSound(std::span<const uint8_t> bytes, const VideoOptions& options, VideoClip& clip) {
  const auto open = [bytes]() -> Result<AudioReader> {
    LINNET_ASSIGN(std::unique_ptr<MonoSource> source, OpenAvAudio(bytes));
    return AudioReader::FromSource(std::move(source));
  };
  LINNET_ASSIGN(AudioReader reader, AudioReader::LoudEnough(open, options.max_sound_seconds));
  const auto limit = static_cast<size_t>(options.max_sound_seconds * static_cast<double>(kSampleRate));
  std::vector<float> piece(kSoundPiece);
  while (true) {
    const auto count = reader.Read(piece);
    if (!count) {
      AddNote(clip.note, "its sound ends early: " + count.error().what);
      return {};
    }
    clip.sound.insert(clip.sound.end(), piece.begin(), piece.begin() + static_cast<ptrdiff_t>(*count));
    if (clip.sound.size() > limit) {
      clip.sound.resize(limit);
      AddNote(clip.note,
              fmt::format("only the first {:.0f} s of the sound track are used", options.max_sound_seconds));
      return {};
    }
    if (*count < piece.size()) break;
  }
  AddNote(clip.note, reader.note());
  return {};
}

Status CheckOptions(const VideoOptions& options) {
  if (!(options.frames_per_second > 0.001) || !(options.frames_per_second <= 240)) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("{} frames of a video a second", options.frames_per_second),
                "choose more than 0.001 and up to 240");
  }
  if (options.max_frames < 1 || options.max_frames > kMostFrames) {
    return Fail(ErrorCode::kInvalidArgument, fmt::format("{} frames of a video at most", options.max_frames),
                fmt::format("choose 1 to {}", kMostFrames));
  }
  if (!(options.max_sound_seconds >= 0 && options.max_sound_seconds <= 1e6)) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("{} s of a video's sound at most", options.max_sound_seconds),
                "choose 0 to 1000000");
  }
  return {};
}

Result<VideoClip> Decode(std::span<const uint8_t> bytes, const VideoOptions& options) {
  LINNET_TRY(CheckOptions(options));
  if (bytes.empty()) return Fail(ErrorCode::kBadFile, "is empty (0 bytes)", "copy or record it again");
  LINNET_ASSIGN(const std::unique_ptr<FrameSource> source, OpenAvVideo(bytes));
  VideoClip clip;
  clip.info = source->info();
  LINNET_TRY(TakeFrames(*source, options, clip));
  if (clip.frames.empty())
    return Fail(ErrorCode::kBadFile, "none of its frames can be decoded", "the file is damaged");
  if (media_internal::EndsEarly(bytes)) AddNote(clip.note, media_internal::kUnfinishedNote);
  if (options.sound && !clip.info.has_sound) AddNote(clip.note, "it has no sound track");
  if (options.sound && clip.info.has_sound) {
    if (const Status sound = TakeSound(bytes, options, clip); !sound) {
      clip.sound.clear();
      AddNote(clip.note, "its sound track is left out: " + sound.error().what);
    }
  }
  return clip;
}

}  // namespace

Result<VideoClip> DecodeVideo(std::span<const uint8_t> bytes, std::string_view name,
                              const VideoOptions& options) {
  auto clip = Decode(bytes, options);
  if (!clip) return Prefixed(std::string(name), std::move(clip).error());
  return clip;
}

Result<VideoClip> LoadVideo(const std::filesystem::path& path, const VideoOptions& options) {
  LINNET_ASSIGN(const MappedFile file, MappedFile::Open(path));
  return DecodeVideo(file.bytes(), path.string(), options);
}

}  // namespace linnet
