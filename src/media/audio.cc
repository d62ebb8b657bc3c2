#include "media/audio.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/mapped_file.h"
#include "media/av.h"
#include "media/container.h"
#include "media/loudness.h"
#include "media/note.h"
#include "media/resample.h"
#include "media/sample_queue.h"
#include "media/wav.h"

namespace linnet {
namespace {

constexpr size_t kPiece = 1 << 12;        // what is recorded live shall not wait longer
constexpr size_t kForgetBytes = 1 << 24;  // pages of the file kept at most

class WavSource : public MonoSource {
 public:
  static Result<std::unique_ptr<MonoSource>> Open(MappedFile file) {
    LINNET_ASSIGN(WavReader reader, WavReader::Open(file.bytes()));
    return std::unique_ptr<MonoSource>(new WavSource(std::move(file), std::move(reader)));
  }

  const AudioInfo& info() const override { return info_; }
  int64_t rate() const override { return reader_.rate(); }
  Result<size_t> Read(std::span<float> out) override {
    size_t count = reader_.Read(out);
    if (count < out.size() && reader_.cancelled()) AddNote(info_.note, media_internal::kCancelNote);
    for (; count == 0 && !out.empty() && !reader_.next().empty(); count = reader_.Read(out)) {
      auto next = WavReader::Open(reader_.next());
      if (!next) break;  // the note has said so
      replaced_ += reader_.replaced();
      reader_ = std::move(*next);
    }
    done_ += count;
    // A long recording is read once from front to back; its pages need not pile up.
    const size_t bytes =
        done_ * (file_.bytes().size() / std::max<size_t>(1, static_cast<size_t>(info_.frames)));
    if (bytes > forgotten_ + kForgetBytes) {
      file_.Forget(forgotten_, bytes - forgotten_);
      forgotten_ = bytes;
    }
    return count;
  }
  int64_t replaced() const override { return replaced_ + reader_.replaced(); }

 private:
  WavSource(MappedFile file, WavReader reader) : file_(std::move(file)), reader_(std::move(reader)) {
    info_.format = reader_.format();
    info_.rate = reader_.rate();
    info_.channels = reader_.channels();
    info_.frames = reader_.frames();
    info_.seconds = static_cast<double>(info_.frames) / static_cast<double>(info_.rate);
    if (reader_.unfinished()) info_.note = media_internal::kUnfinishedNote;
    AddJoined(reader_.next());
  }

  // Recordings that were put behind the first one.
  void AddJoined(std::span<const uint8_t> bytes) {
    while (!bytes.empty()) {
      const auto joined = WavReader::Open(bytes);
      if (!joined) return AddNote(info_.note, "a recording behind it cannot be read: " + joined.error().what);
      const double seconds = static_cast<double>(joined->frames()) / static_cast<double>(joined->rate());
      info_.seconds += seconds;
      info_.frames += static_cast<int64_t>(seconds * static_cast<double>(info_.rate) + 0.5);
      if (joined->unfinished()) AddNote(info_.note, media_internal::kUnfinishedNote);
      bytes = joined->next();
    }
  }

  MappedFile file_;
  WavReader reader_;
  AudioInfo info_;
  int64_t replaced_ = 0;  // of recordings before the one that is read
  size_t done_ = 0, forgotten_ = 0;
};

// A sound of the optional library, with the file it reads from.
class OtherSource : public MonoSource {
 public:
  static Result<std::unique_ptr<MonoSource>> Open(MappedFile file) {
    auto source = OpenAvAudio(file.bytes());
    if (!source) return std::unexpected(std::move(source).error());
    return std::unique_ptr<MonoSource>(new OtherSource(std::move(file), std::move(*source)));
  }
  const AudioInfo& info() const override { return source_->info(); }
  Result<size_t> Read(std::span<float> out) override { return source_->Read(out); }
  int64_t rate() const override { return source_->rate(); }
  int64_t replaced() const override { return source_->replaced(); }

 private:
  OtherSource(MappedFile file, std::unique_ptr<MonoSource> source)
      : file_(std::move(file)), source_(std::move(source)) {}
  MappedFile file_;  // outlives the source
  std::unique_ptr<MonoSource> source_;
};

}  // namespace

Result<std::unique_ptr<MonoSource>> OpenSound(MappedFile file) {
  const std::span<const uint8_t> bytes = file.bytes();
  if (bytes.empty()) return Fail(ErrorCode::kBadFile, "is empty (0 bytes)", "copy or record it again");
  if (WavReader::Recognises(bytes)) {
    // Compressed files are for the other library.
    const auto reader = WavReader::Open(bytes);
    const bool other = !reader && reader.error().code == ErrorCode::kUnsupported && AvAvailable();
    if (!other) return WavSource::Open(std::move(file));
  }
  return OtherSource::Open(std::move(file));
}

struct LINNET_HIDDEN AudioReader::Impl {
  std::unique_ptr<MonoSource> source;
  int64_t rate;  // that the resampler takes
  Resampler resampler;
  std::vector<float> in = std::vector<float>(kPiece);  // a piece at the file's rate
  media_internal::SampleQueue samples;                 // resampled
  LoudnessMeter meter = {};
  float gain = 1.0f;
  std::string name = {};

  Status Refill() {
    LINNET_ASSIGN(const size_t count, source->Read(in));
    if (count == 0) {
      samples.ended = true;
      LINNET_TRY(resampler.Finish(samples.ready));
    } else {
      if (source->rate() != rate) LINNET_TRY(ChangeRate(source->rate()));
      LINNET_TRY(resampler.Push(std::span(in).first(count), samples.ready));
    }
    meter.Push(samples.ready);
    for (float& sample : samples.ready) sample *= gain;
    return {};
  }

  Status ChangeRate(int64_t to) {
    LINNET_TRY(resampler.Finish(samples.ready));
    LINNET_ASSIGN(resampler, Resampler::Create(to, kSampleRate));
    rate = to;
    return {};
  }
};

AudioReader::AudioReader(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
AudioReader::AudioReader(AudioReader&&) noexcept = default;
AudioReader& AudioReader::operator=(AudioReader&&) noexcept = default;
AudioReader::~AudioReader() = default;

Result<AudioReader> AudioReader::FromSource(std::unique_ptr<MonoSource> source) {
  const int64_t rate = source->info().rate;
  LINNET_ASSIGN(Resampler resampler, Resampler::Create(rate, kSampleRate));
  return AudioReader(std::make_unique<Impl>(std::move(source), rate, std::move(resampler)));
}

Result<AudioReader> AudioReader::LoudEnough(const std::function<Result<AudioReader>()>& open,
                                            double max_seconds) {
  LINNET_ASSIGN(AudioReader first, open());
  std::vector<float> piece(kPiece);
  double seconds = 0;
  while (!first.impl_->meter.IsLoud() && seconds < max_seconds) {
    const auto count = first.Read(piece);
    if (!count || *count == 0) break;  // an error comes again in its place
    seconds += static_cast<double>(*count) / static_cast<double>(kSampleRate);
  }
  LINNET_ASSIGN(AudioReader reader, open());
  reader.impl_->gain = first.impl_->meter.Gain();
  return reader;
}

const AudioInfo& AudioReader::info() const { return impl_->source->info(); }

std::string AudioReader::note() const {
  std::string note = info().note;
  if (const int64_t replaced = impl_->source->replaced(); replaced > 0) {
    AddNote(note, fmt::format("{} sample{} damaged (no numbers, or far too loud) and became 0", replaced,
                              replaced == 1 ? " was" : "s were"));
  }
  AddNote(note, impl_->meter.Note(impl_->gain));
  return note;
}

int64_t AudioReader::expected_samples() const {
  const AudioInfo& info = impl_->source->info();
  if (info.frames < 0) {
    return info.seconds > 0 ? static_cast<int64_t>(info.seconds * static_cast<double>(kSampleRate)) : -1;
  }
  return (info.frames * kSampleRate + info.rate - 1) / info.rate;
}

Result<size_t> AudioReader::Read(std::span<float> out) {
  auto count = impl_->samples.Read(out, [this] { return impl_->Refill(); });
  if (count || impl_->name.empty()) return count;
  return Prefixed(impl_->name, std::move(count).error());
}

void AudioReader::SetName(std::string name) { impl_->name = std::move(name); }

namespace {

std::unexpected<Error> TooLong(double max_seconds) {
  return Fail(ErrorCode::kUnsupported, fmt::format("the sound is longer than {:.0f} s", max_seconds),
              "cut it, or write it down with `linnet transcribe`");
}

}  // namespace

Result<AudioClip> AudioReader::ReadClip(double max_seconds) {
  const auto limit = static_cast<int64_t>(max_seconds * static_cast<double>(kSampleRate));
  if (info().frames >= 0 && expected_samples() > limit) return TooLong(max_seconds);
  AudioClip clip;
  clip.samples.reserve(static_cast<size_t>(std::clamp<int64_t>(expected_samples(), 0, limit)));
  std::vector<float> piece(kPiece);
  while (true) {
    LINNET_ASSIGN(const size_t count, Read(piece));
    clip.samples.insert(clip.samples.end(), piece.begin(), piece.begin() + static_cast<ptrdiff_t>(count));
    if (static_cast<int64_t>(clip.samples.size()) > limit) return TooLong(max_seconds);
    if (count < piece.size()) break;
  }
  clip.info = info();
  clip.info.note = note();
  return clip;
}

Result<AudioClip> LoadAudio(const std::filesystem::path& path, double max_seconds) {
  const auto open = [&path]() -> Result<AudioReader> {
    LINNET_ASSIGN(MappedFile file, MappedFile::Open(path));  // its errors name the path already
    auto source = OpenSound(std::move(file));
    if (!source) return Prefixed(path.string(), std::move(source).error());
    auto reader = AudioReader::FromSource(std::move(source).value());
    if (!reader) return Prefixed(path.string(), std::move(reader).error());
    return reader;
  };
  LINNET_ASSIGN(AudioReader reader, AudioReader::LoudEnough(open));
  auto clip = reader.ReadClip(max_seconds);
  if (!clip) return Prefixed(path.string(), std::move(clip).error());
  return clip;
}

std::vector<float> CutFrames(std::span<const float> samples, int64_t frame_samples) {
  std::vector<float> frames(samples.begin(), samples.end());
  frames.resize(
      static_cast<size_t>(FrameCount(static_cast<int64_t>(samples.size()), frame_samples) * frame_samples));
  return frames;
}

}  // namespace linnet
