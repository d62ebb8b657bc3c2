#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "media/av.h"
#include "media/av_input.h"

namespace linnet {
namespace {

using media_internal::AvInput;

constexpr int kMaxChannels = 64;

// Sample `i` of one channel, scaled like a WAV file's.
float ToFloat(const uint8_t* samples, size_t i, AVSampleFormat format) {
  const auto load = [&]<typename T>(T) {
    T value;
    std::memcpy(&value, samples + i * sizeof(T), sizeof(T));
    return value;
  };
  switch (format) {
    case AV_SAMPLE_FMT_U8:
      return static_cast<float>(samples[i] - 128) / 128.0f;
    case AV_SAMPLE_FMT_S16:
      return static_cast<float>(load(int16_t{})) / 32768.0f;
    case AV_SAMPLE_FMT_S32:
      return static_cast<float>(load(int32_t{})) / 2147483648.0f;
    case AV_SAMPLE_FMT_FLT:
      return load(float{});
    case AV_SAMPLE_FMT_DBL:
      return static_cast<float>(load(double{}));
    default:
      return 0.0f;
  }
}

bool CanConvert(AVSampleFormat packed) {
  return packed == AV_SAMPLE_FMT_U8 || packed == AV_SAMPLE_FMT_S16 || packed == AV_SAMPLE_FMT_S32 ||
         packed == AV_SAMPLE_FMT_FLT || packed == AV_SAMPLE_FMT_DBL;
}

class AvAudio : public MonoSource {
 public:
  static Result<std::unique_ptr<MonoSource>> Open(std::span<const uint8_t> bytes) {
    std::unique_ptr<AvAudio> source(new AvAudio);
    LINNET_ASSIGN(source->input_, AvInput::Open(bytes, AVMEDIA_TYPE_AUDIO));
    // The first frame knows rate and channels for certain; headers may be wrong or silent.
    LINNET_TRY(source->Refill());
    if (source->ended_ && source->info_.rate == 0) {
      return Fail(ErrorCode::kBadFile, "its sound cannot be decoded", "the file is damaged or cut off");
    }
    source->info_.format = source->input_->FormatName();
    source->info_.seconds = source->input_->LengthSeconds();
    return std::unique_ptr<MonoSource>(std::move(source));
  }

  const AudioInfo& info() const override { return info_; }
  int64_t replaced() const override { return replaced_; }

  Result<size_t> Read(std::span<float> out) override {
    size_t filled = 0;
    while (filled < out.size()) {
      if (next_ == ready_.size()) {
        if (ended_) break;
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
  Status Refill() {
    ready_.clear();
    next_ = 0;
    LINNET_ASSIGN(const AVFrame* frame, input_->Next());
    if (frame == nullptr) {
      ended_ = true;
      if (input_->skipped() > 0)
        info_.note = fmt::format("{} damaged pieces were left out", input_->skipped());
      return {};
    }
    return Mix(*frame);
  }

  Status Mix(const AVFrame& frame) {
    const auto format = static_cast<AVSampleFormat>(frame.format);
    const AVSampleFormat packed = av_get_packed_sample_fmt(format);
    const int channels = frame.ch_layout.nb_channels;
    if (channels < 1 || channels > kMaxChannels || !CanConvert(packed)) {
      return Fail(ErrorCode::kUnsupported,
                  fmt::format("a sound of {} channels in sample format {}", channels, frame.format));
    }
    if (info_.rate == 0) {
      info_.rate = frame.sample_rate;
      info_.channels = channels;
    }
    if (frame.sample_rate != info_.rate) {
      return Fail(ErrorCode::kUnsupported,
                  fmt::format("the sampling rate changes from {} to {} Hz", info_.rate, frame.sample_rate),
                  "convert the sound to WAV");
    }
    const bool planar = av_sample_fmt_is_planar(format) != 0;
    const auto n = static_cast<size_t>(channels);
    ready_.reserve(static_cast<size_t>(frame.nb_samples));
    for (size_t i = 0; i < static_cast<size_t>(frame.nb_samples); ++i) {
      float sum = 0.0f;
      for (size_t c = 0; c < n; ++c) {
        const float value = planar ? ToFloat(frame.extended_data[c], i, packed)
                                   : ToFloat(frame.extended_data[0], i * n + c, packed);
        if (IsUsableSample(value))
          sum += value;
        else
          ++replaced_;
      }
      ready_.push_back(n == 1 ? sum : sum / static_cast<float>(n));
    }
    return {};
  }

  std::unique_ptr<AvInput> input_;
  AudioInfo info_;
  std::vector<float> ready_;
  size_t next_ = 0;
  bool ended_ = false;
  int64_t replaced_ = 0;
};

}  // namespace

bool AvAvailable() { return true; }

Result<std::unique_ptr<MonoSource>> OpenAvAudio(std::span<const uint8_t> bytes) {
  return AvAudio::Open(bytes);
}

}  // namespace linnet
