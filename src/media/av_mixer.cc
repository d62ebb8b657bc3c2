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

bool AvMixer::Fits(const AVFrame& frame) const {
  return mixer_.rate() == frame.sample_rate && mixer_.channels() == frame.ch_layout.nb_channels;
}

void AvMixer::Finish(std::vector<float>& out) {
  if (mixer_.channels() > 0) mixer_.Finish(out);
}

Status AvMixer::Mix(const AVFrame& frame, std::vector<float>& out) {
  const auto format = static_cast<AVSampleFormat>(frame.format);
  const AVSampleFormat packed = av_get_packed_sample_fmt(format);
  const int channels = frame.ch_layout.nb_channels;
  if (channels < 1 || channels > kMaxChannels || frame.sample_rate < 1 || !CanConvert(packed)) {
    return Fail(ErrorCode::kUnsupported, fmt::format("a sound of {} channels at {} Hz in sample format {}",
                                                     channels, frame.sample_rate, frame.format));
  }
  if (!Fits(frame)) {
    replaced_ += mixer_.replaced();
    cancelled_ = cancelled_ || mixer_.cancelled();
    mixer_ = ChannelMixer(channels, frame.sample_rate);
  }
  const bool planar = av_sample_fmt_is_planar(format) != 0;
  const auto n = static_cast<size_t>(channels);
  frame_.resize(n);
  for (size_t i = 0; i < static_cast<size_t>(frame.nb_samples); ++i) {
    for (size_t c = 0; c < n; ++c) {
      frame_[c] = planar ? ToFloat(frame.extended_data[c], i, packed)
                         : ToFloat(frame.extended_data[0], i * n + c, packed);
    }
    mixer_.Add(frame_, out);
  }
  return {};
}

}  // namespace linnet::media_internal
