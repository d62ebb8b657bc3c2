#include "media/media_loader.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/child_process.h"
#include "base/mapped_file.h"
#include "media/wire.h"

namespace linnet {
namespace {

using media_internal::kMaxSmallMessage;
using media_internal::MessageReader;

constexpr int kAllGranted = 7;
constexpr double kVideoPatience = 4;  // frames far apart take many decoded ones

struct Message {
  char kind = 'Z';
  std::vector<uint8_t> payload;
};

std::unexpected<Error> Nonsense() {
  return Fail(ErrorCode::kBadFile, "the decoder gave a damaged answer", "convert the file");
}

// One running helper and the messages it sends.
class Helper {
 public:
  static Result<Helper> Start(const std::filesystem::path& program, const std::vector<std::string>& arguments,
                              const MediaSource& source, double patience) {
    if (source.file.empty()) {
      LINNET_ASSIGN(ChildProcess child, ChildProcess::Start(program, arguments, source.bytes));
      return Helper(std::move(child), patience);
    }
    LINNET_ASSIGN(ChildProcess child, ChildProcess::Start(program, arguments, source.file));
    return Helper(std::move(child), patience);
  }

  // The next message with a payload of at most `limit`. The helper's own errors come back as errors.
  Result<Message> Next(uint64_t limit) {
    uint8_t head[media_internal::kMessageHead];
    LINNET_ASSIGN(const size_t there, child_.Read(head, patience_));
    if (there < sizeof(head)) return Died();
    Message message;
    message.kind = static_cast<char>(head[0]);
    const uint64_t length = MessageReader(std::span(head).subspan(1)).U64();
    if (length > (message.kind == 'E' ? kMaxSmallMessage : limit)) return Nonsense();
    message.payload.resize(length);
    LINNET_ASSIGN(const size_t filled, child_.Read(message.payload, patience_));
    if (filled < length) return Died();
    if (message.kind != 'E') return message;
    MessageReader reader(message.payload);
    const auto code =
        static_cast<ErrorCode>(std::min<uint64_t>(reader.U64(), static_cast<uint64_t>(ErrorCode::kInternal)));
    std::string what = reader.Text();
    if (what.starts_with(": ")) what.erase(0, 2);  // the helper knows no name to put in front
    return Fail(code, std::move(what), reader.Text());
  }

  // The same, and it must be of this kind.
  Result<Message> Expect(char kind, uint64_t limit = kMaxSmallMessage) {
    LINNET_ASSIGN(Message message, Next(limit));
    if (message.kind != kind) return Nonsense();
    return message;
  }

  Result<int> Greeting() {
    LINNET_ASSIGN(const Message hello, Expect('H', 8));
    return static_cast<int>(MessageReader(hello.payload).U64() & kAllGranted);
  }

 private:
  Helper(ChildProcess child, double patience) : child_(std::move(child)), patience_(patience) {}

  std::unexpected<Error> Died() {
    const std::string how = child_.Wait();
    return Fail(ErrorCode::kBadFile, fmt::format("the decoder {}", how.empty() ? "ended in the middle" : how),
                "the file is damaged or made to do harm");
  }

  ChildProcess child_;
  double patience_;
};

std::vector<float> ToSamples(const Message& message) {
  std::vector<float> samples(message.payload.size() / sizeof(float));
  if (!samples.empty()) std::memcpy(samples.data(), message.payload.data(), samples.size() * sizeof(float));
  for (float& sample : samples) sample = IsUsableSample(sample) ? sample : 0.0f;
  return samples;
}

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
  if (!TakePixels(reader, width, height, picture)) return Nonsense();
  return picture;
}

class HelperSound : public MonoSource {
 public:
  static Result<std::unique_ptr<MonoSource>> Open(Helper helper) {
    LINNET_ASSIGN(const Message head, helper.Expect('I'));
    std::unique_ptr<HelperSound> sound(new HelperSound(std::move(helper)));
    MessageReader reader(head.payload);
    AudioInfo& info = sound->info_;
    info.format = reader.Text();
    info.rate = reader.I64();
    info.channels = reader.I64();
    info.frames = reader.I64();
    info.seconds = reader.F64();
    info.note = reader.Text();
    if (reader.bad() || info.rate < 1 || info.channels < 1 || info.frames < -1 ||
        info.frames > int64_t{1} << 48 || !(info.seconds >= 0 && info.seconds < 1e12)) {
      return Nonsense();
    }
    return std::unique_ptr<MonoSource>(std::move(sound));
  }

  const AudioInfo& info() const override { return info_; }
  int64_t replaced() const override { return replaced_; }

  Result<size_t> Read(std::span<float> out) override {
    size_t filled = 0;
    while (filled < out.size() && !(ended_ && next_ == ready_.size())) {
      if (next_ == ready_.size()) {
        LINNET_TRY(Refill());
        continue;
      }
      const size_t count = std::min(out.size() - filled, ready_.size() - next_);
      std::copy_n(ready_.begin() + static_cast<ptrdiff_t>(next_), count,
                  out.begin() + static_cast<ptrdiff_t>(filled));
      next_ += count;
      filled += count;
    }
    return filled;
  }

 private:
  explicit HelperSound(Helper helper) : helper_(std::move(helper)) {}

  Status Refill() {
    ready_.clear();
    next_ = 0;
    LINNET_ASSIGN(const Message message, helper_.Next(kMaxSmallMessage));
    if (message.kind == 'S') {
      ready_ = ToSamples(message);
      return {};
    }
    if (message.kind != 'N') return Nonsense();
    MessageReader reader(message.payload);
    info_.note = reader.Text();
    replaced_ = reader.I64();
    ended_ = true;
    return {};
  }

  Helper helper_;
  AudioInfo info_;
  std::vector<float> ready_;
  size_t next_ = 0;
  bool ended_ = false;
  int64_t replaced_ = 0;
};

Result<VideoClip> ReceiveVideo(Helper& helper, const VideoOptions& options) {
  LINNET_ASSIGN(const Message head, helper.Expect('V'));
  MessageReader info(head.payload);
  VideoClip clip;
  clip.info.format = info.Text();
  clip.info.fps = info.F64();
  clip.info.seconds = info.F64();
  clip.info.width = info.I64();
  clip.info.height = info.I64();
  clip.info.orientation = static_cast<int>(info.I64());
  clip.info.has_sound = info.I64() != 0;
  if (info.bad()) return Nonsense();
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
        return Nonsense();
      }
      clip.frames.push_back(std::move(frame));
    } else if (message.kind == 'S' && clip.sound.size() <= most_samples) {
      const std::vector<float> samples = ToSamples(message);
      clip.sound.insert(clip.sound.end(), samples.begin(), samples.end());
    } else if (message.kind == 'N' && !clip.frames.empty()) {
      clip.note = reader.Text();
      return clip;
    } else {
      return Nonsense();
    }
  }
}

std::filesystem::path FindHelper() {
  if (const char* named = std::getenv("LINNET_MEDIA_HELPER"); named != nullptr && *named != '\0')
    return named;
  const std::filesystem::path directory = ProgramDirectory();
  std::error_code ignored;
  for (const auto& candidate : {directory / "linnet-media", directory / "../libexec/linnet/linnet-media"}) {
    if (!directory.empty() && std::filesystem::exists(candidate, ignored)) return candidate;
  }
  return {};
}

// Errors of a file name it already; everything else gets the name here.
template <typename T>
Result<T> WithName(const MediaSource& source, Result<T> result) {
  if (result || result.error().what.starts_with(source.name)) return result;
  return Prefixed(source.name, std::move(result).error());
}

Result<MappedFile> Map(const MediaSource& source) {
  return source.file.empty() ? MappedFile::FromBytes(source.bytes, source.name)
                             : MappedFile::Open(source.file);
}

}  // namespace

MediaLoader::MediaLoader(const LoaderOptions& options)
    : patience_(options.patience_seconds), granted_(std::make_shared<int>(-1)) {
  if (!options.sandbox) {
    missing_ = "the sandbox is off: media are decoded in this process";
    return;
  }
  helper_ = options.helper.empty() ? FindHelper() : options.helper;
  if (helper_.empty())
    missing_ = "the helper linnet-media is not beside the program: media are decoded without a sandbox";
}

std::string MediaLoader::Weakness() const {
  if (!missing_.empty() || *granted_ < 0 || *granted_ == kAllGranted) return missing_;
  return fmt::format("this system does not grant all of the decoder's sandbox: without{}{}{}",
                     (*granted_ & 1) != 0 ? "" : " limits", (*granted_ & 2) != 0 ? "" : " landlock",
                     (*granted_ & 4) != 0 ? "" : " seccomp");
}

Result<Picture> MediaLoader::LoadPicture(const MediaSource& source, const PictureOptions& options) const {
  const std::vector<std::string> arguments = {"picture", options.apply_orientation ? "1" : "0",
                                              std::to_string(options.max_pixels)};
  const auto load = [&]() -> Result<Picture> {
    if (helper_.empty()) {
      LINNET_ASSIGN(const MappedFile file, Map(source));
      return DecodePicture(file.bytes(), source.name, options);
    }
    LINNET_ASSIGN(Helper helper, Helper::Start(helper_, arguments, source, patience_));
    LINNET_ASSIGN(*granted_, helper.Greeting());
    return ReceivePicture(helper, options);
  };
  return WithName(source, load());
}

Result<AudioReader> MediaLoader::OpenAudio(const MediaSource& source) const {
  const auto open = [&]() -> Result<AudioReader> {
    if (helper_.empty()) {
      LINNET_ASSIGN(MappedFile file, Map(source));
      LINNET_ASSIGN(std::unique_ptr<MonoSource> sound, OpenSound(std::move(file)));
      return AudioReader::FromSource(std::move(sound));
    }
    LINNET_ASSIGN(Helper helper, Helper::Start(helper_, {"sound"}, source, patience_));
    LINNET_ASSIGN(*granted_, helper.Greeting());
    LINNET_ASSIGN(std::unique_ptr<MonoSource> sound, HelperSound::Open(std::move(helper)));
    return AudioReader::FromSource(std::move(sound));
  };
  return WithName(source, open());
}

Result<AudioClip> MediaLoader::LoadAudio(const MediaSource& source, double max_seconds) const {
  LINNET_ASSIGN(AudioReader reader, OpenAudio(source));
  return WithName(source, ReadClip(reader, max_seconds));
}

Result<VideoClip> MediaLoader::LoadVideo(const MediaSource& source, const VideoOptions& options) const {
  const std::vector<std::string> arguments = {"video",
                                              fmt::format("{}", options.frames_per_second),
                                              std::to_string(options.max_frames),
                                              std::to_string(options.budget),
                                              std::to_string(options.cell),
                                              options.sound ? "1" : "0",
                                              fmt::format("{}", options.max_sound_seconds)};
  const auto load = [&]() -> Result<VideoClip> {
    if (helper_.empty()) {
      LINNET_ASSIGN(const MappedFile file, Map(source));
      return DecodeVideo(file.bytes(), source.name, options);
    }
    LINNET_ASSIGN(Helper helper, Helper::Start(helper_, arguments, source, kVideoPatience * patience_));
    LINNET_ASSIGN(*granted_, helper.Greeting());
    return ReceiveVideo(helper, options);
  };
  return WithName(source, load());
}

}  // namespace linnet
