#include "media/av_mixer.h"

#include <cstring>

#include <fmt/format.h>

extern "C" {
#include <libavutil/samplefmt.h>
}

#include "media/audio.h"

namespace linnet::media_internal {
namespace {

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

}  // namespace

Status AvMixer::Mix(const AVFrame& frame, std::vector<float>& out) {
  const auto format = static_cast<AVSampleFormat>(frame.format);
  const AVSampleFormat packed = av_get_packed_sample_fmt(format);
  const int channels = frame.ch_layout.nb_channels;
  if (channels < 1 || channels > kMaxChannels || !CanConvert(packed)) {
    return Fail(ErrorCode::kUnsupported,
                fmt::format("a sound of {} channels in sample format {}", channels, frame.format));
  }
  if (rate_ == 0) {
    rate_ = frame.sample_rate;
    channels_ = channels;
  }
  if (frame.sample_rate != rate_) {
    return Fail(ErrorCode::kUnsupported,
                fmt::format("the sampling rate changes from {} to {} Hz", rate_, frame.sample_rate),
                "convert the sound to WAV");
  }
  const bool planar = av_sample_fmt_is_planar(format) != 0;
  const auto n = static_cast<size_t>(channels);
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
    out.push_back(n == 1 ? sum : sum / static_cast<float>(n));
  }
  return {};
}

}  // namespace linnet::media_internal
