#include "media/media_loader.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/mapped_file.h"
#include "base/memory_guard.h"
#include "media/helper.h"
#include "media/wire.h"

namespace linnet {
namespace {

using media_internal::DamagedAnswer;
using media_internal::Helper;
using media_internal::kAllGranted;
using media_internal::kMaxSmallMessage;
using media_internal::Message;
using media_internal::MessageReader;
using media_internal::ToSamples;

constexpr const char* kWithoutHelper =
    "install linnet-media beside it or name it in LINNET_MEDIA_HELPER; --no-sandbox decodes inside this "
    "process, "
    "without protection";
constexpr const char* kLess = "give a smaller file, or close other programs";
constexpr double kVideoPatience = 4;  // frames far apart take many decoded ones

// Pixels behind a width and a height; false when they do not fit together.
bool TakePixels(MessageReader& reader, int64_t width, int64_t height, Picture& picture) {
  const auto pixels = reader.Rest();
  if (reader.bad() || width < 1 || height < 1 || width > kMaxPictureSide || height > kMaxPictureSide ||
      pixels.size() != static_cast<uint64_t>(width) * static_cast<uint64_t>(height) * 3) {
    return false;
  }
  picture.width = width;
  picture.height = height;
  picture.rgb.assign(pixels.begin(), pixels.end());
  return true;
}

uint64_t PixelLimit(int64_t pixels) {
  return static_cast<uint64_t>(std::max<int64_t>(pixels, 1)) * 3 + kMaxSmallMessage;
}

Result<Picture> ReceivePicture(Helper& helper, const PictureOptions& options) {
  LINNET_ASSIGN(const Message message, helper.Expect('P', PixelLimit(options.max_pixels)));
  MessageReader reader(message.payload);
  const int64_t width = reader.I64(), height = reader.I64();
  Picture picture;
  picture.format = reader.Text();
  picture.note = reader.Text();
  if (!TakePixels(reader, width, height, picture)) return DamagedAnswer();
  return picture;
}

Result<VideoClip> ReceiveVideo(Helper& helper, const VideoOptions& options) {
  LINNET_ASSIGN(const Message head, helper.Expect('V', kMaxSmallMessage));
  MessageReader info(head.payload);
  VideoClip clip;
  clip.info.format = info.Text();
  clip.info.fps = info.F64();
  clip.info.seconds = info.F64();
  clip.info.width = info.I64();
  clip.info.height = info.I64();
  clip.info.orientation = static_cast<int>(info.I64());
  clip.info.has_sound = info.I64() != 0;
  if (info.bad()) return DamagedAnswer();
  const uint64_t limit = PixelLimit(options.budget * options.cell * options.cell);
  const auto most_samples = static_cast<size_t>(options.max_sound_seconds * kSampleRate);
  while (true) {
    LINNET_ASSIGN(const Message message, helper.Next(limit));
    MessageReader reader(message.payload);
    if (message.kind == 'F' && static_cast<int64_t>(clip.frames.size()) < options.max_frames) {
      ClipFrame frame;
      frame.seconds = reader.F64();
      const int64_t width = reader.I64(), height = reader.I64();
      if (!TakePixels(reader, width, height, frame.picture) || width % options.cell != 0 ||
          height % options.cell != 0 || !(frame.seconds >= 0 && frame.seconds < 1e9)) {
        return DamagedAnswer();
      }
      clip.frames.push_back(std::move(frame));
    } else if (message.kind == 'S' && clip.sound.size() <= most_samples) {
      const std::vector<float> samples = ToSamples(message);
      clip.sound.insert(clip.sound.end(), samples.begin(), samples.end());
    } else if (message.kind == 'N' && !clip.frames.empty()) {
      clip.note = reader.Text();
      return clip;
    } else {
      return DamagedAnswer();
    }
  }
}

// Errors of a file name it already; everything else gets the name here.
template <typename T>
Result<T> WithName(const MediaSource& source, Result<T> result) {
  if (result || result.error().what.starts_with(source.name + ":")) return result;
  return Prefixed(source.name, std::move(result).error());
}

Result<MappedFile> Map(const MediaSource& source) {
  return source.file.empty() ? MappedFile::FromBytes(source.bytes, source.name)
                             : MappedFile::Open(source.file);
}

}  // namespace

MediaSource::MediaSource(std::filesystem::path path) : file(std::move(path)), name(file.string()) {}
MediaSource::MediaSource(std::vector<uint8_t> content, std::string label)
    : bytes(std::move(content)), name(std::move(label)) {}
MediaSource::MediaSource(std::string label, std::shared_ptr<const SpooledFile> stream)
    : file(stream->path()), name(std::move(label)), spooled(std::move(stream)) {}

Result<MediaFormat> RecogniseMedia(const MediaSource& source) {
  if (source.file.empty()) return RecogniseMedia(source.bytes);
  LINNET_ASSIGN(const MappedFile file, MappedFile::Open(source.file));
  return RecogniseMedia(file.bytes());
}

MediaLoader::Impl::Impl(const LoaderOptions& options)
    : in_process_(!options.sandbox), patience_(options.patience_seconds) {
  if (in_process_) return;
  helper_ = options.helper.empty() ? media_internal::FindProgram("linnet-media", "LINNET_MEDIA_HELPER")
                                   : options.helper;
  if (helper_.empty()) {
    usable_ = Fail(ErrorCode::kUnsupported, "its decoder, the program linnet-media, is not beside linnet",
                   kWithoutHelper);
    return;
  }
  const auto granted = [&]() -> Result<int> {
    LINNET_ASSIGN(Helper helper, Helper::Start(helper_, {"greet"}, MediaSource({}, ""), patience_));
    return helper.Greeting();
  }();
  if (granted) {
    granted_ = *granted;
  } else {
    // A limit that was met says itself what to do.
    const std::string& hint = granted.error().hint;
    usable_ = Fail(ErrorCode::kUnsupported,
                   fmt::format("the decoder {} does not work: {}", helper_.string(), granted.error().what),
                   hint.empty() || granted.error().code == ErrorCode::kBadFile ? kWithoutHelper : hint);
  }
}

std::string MediaLoader::Impl::Weakness() const {
  if (in_process_) return "the sandbox is off: media are decoded in this process, with all that it may do";
  if (!usable_ || granted_ == kAllGranted) return {};
  return fmt::format("this system does not grant all of the decoder's sandbox: without{}{}{}",
                     (granted_ & 1) != 0 ? "" : " limits of memory and time",
                     (granted_ & 2) != 0 ? "" : " landlock (it could open files)",
                     (granted_ & 4) != 0 ? "" : " seccomp (it could make any system call)");
}

Result<Helper> MediaLoader::Impl::StartHelper(const std::vector<std::string>& arguments,
                                              const MediaSource& source, double patience) const {
  LINNET_TRY(usable_);
  LINNET_ASSIGN(Helper helper, Helper::Start(helper_, arguments, source, patience));
  LINNET_ASSIGN(const int granted, helper.Greeting());
  // What was said to be protected is.
  if ((granted & granted_) != granted_) {
    return Fail(ErrorCode::kInternal, "the system grants the decoder less of its sandbox than before",
                "try again");
  }
  return helper;
}

Result<Picture> MediaLoader::Impl::LoadPicture(const MediaSource& source,
                                               const PictureOptions& options) const {
  const std::vector<std::string> arguments = {"picture", options.apply_orientation ? "1" : "0",
                                              std::to_string(options.max_pixels)};
  const auto load = [&]() -> Result<Picture> {
    if (in_process_) {
      LINNET_ASSIGN(const MappedFile file, Map(source));
      return DecodePicture(file.bytes(), source.name, options);
    }
    LINNET_ASSIGN(Helper helper, StartHelper(arguments, source, patience_));
    return ReceivePicture(helper, options);
  };
  return WithName(source, load());
}

Result<AudioReader> MediaLoader::Impl::OpenAudio(const MediaSource& source) const {
  const auto open = [&]() -> Result<AudioReader> {
    if (in_process_) {
      LINNET_ASSIGN(MappedFile file, Map(source));
      LINNET_ASSIGN(std::unique_ptr<MonoSource> sound, OpenSound(std::move(file)));
      return AudioReader::FromSource(std::move(sound));
    }
    LINNET_ASSIGN(Helper helper, StartHelper({"sound"}, source, patience_));
    LINNET_ASSIGN(std::unique_ptr<MonoSource> sound, media_internal::HelperSound::Open(std::move(helper)));
    return AudioReader::FromSource(std::move(sound));
  };
  auto reader = WithName(source, AudioReader::LoudEnough(open));
  if (reader) reader->SetName(source.name);
  return reader;
}

Result<AudioClip> MediaLoader::Impl::LoadAudio(const MediaSource& source, double max_seconds) const {
  LINNET_ASSIGN(AudioReader reader, OpenAudio(source));
  return WithName(source, reader.ReadClip(max_seconds));
}

Result<VideoClip> MediaLoader::Impl::LoadVideo(const MediaSource& source, const VideoOptions& options) const {
  const std::vector<std::string> arguments = {"video",
                                              fmt::format("{}", options.frames_per_second),
                                              std::to_string(options.max_frames),
                                              std::to_string(options.budget),
                                              std::to_string(options.cell),
                                              options.sound ? "1" : "0",
                                              fmt::format("{}", options.max_sound_seconds)};
  const auto load = [&]() -> Result<VideoClip> {
    if (in_process_) {
      LINNET_ASSIGN(const MappedFile file, Map(source));
      return DecodeVideo(file.bytes(), source.name, options);
    }
    LINNET_ASSIGN(Helper helper, StartHelper(arguments, source, kVideoPatience * patience_));
    return ReceiveVideo(helper, options);
  };
  return WithName(source, load());
}

Result<ChildProcess> MediaLoader::Impl::StartProgram(const std::filesystem::path& program,
                                                     const std::vector<std::string>& arguments,
                                                     const MediaSource& source,
                                                     double patience_seconds) const {
  if (in_process_) return media_internal::StartWith(program, arguments, source);
  std::vector<std::string> all = {"pages", program.string()};
  all.insert(all.end(), arguments.begin(), arguments.end());
  LINNET_ASSIGN(Helper helper, StartHelper(all, source, patience_seconds));
  return std::move(helper.process());
}

MediaLoader::MediaLoader(const LoaderOptions& options) : impl_(std::make_shared<const Impl>(options)) {}

Result<Picture> MediaLoader::LoadPicture(const MediaSource& source) const {
  return WithinMemory(source.name, kLess, [&] { return impl_->LoadPicture(source); });
}

Result<AudioReader> MediaLoader::OpenAudio(const MediaSource& source) const {
  return WithinMemory(source.name, kLess, [&] { return impl_->OpenAudio(source); });
}

std::string MediaLoader::Weakness() const { return impl_->Weakness(); }

}  // namespace linnet
