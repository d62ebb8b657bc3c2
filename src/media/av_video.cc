#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include <fmt/format.h>

extern "C" {
#include <libavutil/display.h>
#include <libswscale/swscale.h>
}

#include "media/av.h"
#include "media/av_input.h"

namespace linnet {
namespace {

using media_internal::AvInput;
using media_internal::kMaxFramePixels;

// Below this a video is decoded through; further ahead it is worth looking for a key frame.
constexpr double kSeekAhead = 8.0;

struct FreeScaler {
  void operator()(SwsContext* context) const { sws_freeContext(context); }
};

// EXIF's numbers for turns of a whole quarter; 1 for everything else.
int OrientationOf(AVStream* stream) {
  const auto* matrix =
      reinterpret_cast<const int32_t*>(av_stream_get_side_data(stream, AV_PKT_DATA_DISPLAYMATRIX, nullptr));
  if (matrix == nullptr) return 1;
  const double turn = av_display_rotation_get(matrix);  // counter-clockwise degrees
  if (!std::isfinite(turn)) return 1;
  switch ((static_cast<int>(std::lround(turn)) % 360 + 360) % 360) {
    case 90:
      return 8;
    case 180:
      return 3;
    case 270:
      return 6;
    default:
      return 1;
  }
}

class AvVideo : public FrameSource {
 public:
  static Result<std::unique_ptr<FrameSource>> Open(std::span<const uint8_t> bytes) {
    std::unique_ptr<AvVideo> video(new AvVideo);
    LINNET_ASSIGN(video->input_, AvInput::Open(bytes, AVMEDIA_TYPE_VIDEO));
    AvInput& input = *video->input_;
    VideoInfo& info = video->info_;
    info.orientation = OrientationOf(input.stream());
    info.format = input.FormatName();
    info.seconds = input.LengthSeconds();
    const AVRational rate = av_guess_frame_rate(input.format(), input.stream(), nullptr);
    info.fps = rate.num > 0 && rate.den > 0 ? av_q2d(rate) : 0.0;
    info.width = input.codec()->width;
    info.height = input.codec()->height;
    info.has_sound = av_find_best_stream(input.format(), AVMEDIA_TYPE_AUDIO, -1, -1, nullptr, 0) >= 0;
    return std::unique_ptr<FrameSource>(std::move(video));
  }

  const VideoInfo& info() const override { return info_; }

  Result<std::optional<TimedPicture>> At(double seconds) override {
    if (seconds > last_ + kSeekAhead) input_->SeekBefore(seconds);
    while (true) {
      LINNET_ASSIGN(const AVFrame* frame, input_->Next());
      if (frame == nullptr) return std::nullopt;
      const double time = TimeOf(*frame);
      last_ = std::max(last_, time);
      ++decoded_;
      // Half a millisecond: times are rounded to the container's clock.
      if (time < seconds - 0.0005) continue;
      LINNET_ASSIGN(Picture picture, ToPicture(*frame));
      const auto index = info_.fps > 0 ? static_cast<int64_t>(std::llround(time * info_.fps)) : decoded_ - 1;
      return TimedPicture{std::move(picture), time, index};
    }
  }

 private:
  double TimeOf(const AVFrame& frame) {
    const int64_t stamp = frame.best_effort_timestamp;
    if (stamp == AV_NOPTS_VALUE) return info_.fps > 0 ? static_cast<double>(decoded_) / info_.fps : last_;
    return std::max(0.0, input_->SecondsOf(stamp));
  }

  // Colour conversion only; size and pixels stay.
  Result<Picture> ToPicture(const AVFrame& frame) {
    if (frame.width < 1 || frame.height < 1 || int64_t{frame.width} * frame.height > kMaxFramePixels) {
      return Fail(ErrorCode::kUnsupported,
                  fmt::format("a video frame of {} x {} pixels", frame.width, frame.height),
                  "scale the video down");
    }
    const auto format = static_cast<AVPixelFormat>(frame.format);
    scaler_.reset(sws_getCachedContext(
        scaler_.release(), frame.width, frame.height, format, frame.width, frame.height, AV_PIX_FMT_RGB24,
        SWS_BICUBIC | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT, nullptr, nullptr, nullptr));
    if (scaler_ == nullptr)
      return Fail(ErrorCode::kUnsupported, "the colours of its video cannot be converted");
    const int* coefficients = sws_getCoefficients(frame.colorspace);
    const int full = frame.color_range == AVCOL_RANGE_JPEG ? 1 : 0;
    sws_setColorspaceDetails(scaler_.get(), coefficients, full, sws_getCoefficients(SWS_CS_DEFAULT), 1, 0,
                             1 << 16, 1 << 16);
    Picture picture;
    picture.width = frame.width;
    picture.height = frame.height;
    picture.format = "video";
    // swscale writes whole vectors: rows of its own, with room behind the last.
    const int stride = (3 * frame.width + 63) / 64 * 64;
    rows_.resize(static_cast<size_t>(stride) * static_cast<size_t>(frame.height) + 64);
    uint8_t* planes[4] = {rows_.data(), nullptr, nullptr, nullptr};
    const int strides[4] = {stride, 0, 0, 0};
    sws_scale(scaler_.get(), frame.data, frame.linesize, 0, frame.height, planes, strides);
    picture.rgb.resize(static_cast<size_t>(3 * picture.width * picture.height));
    for (int64_t y = 0; y < picture.height; ++y) {
      std::copy_n(&rows_[static_cast<size_t>(y * stride)], 3 * picture.width,
                  &picture.rgb[static_cast<size_t>(3 * y * picture.width)]);
    }
    return picture;
  }

  std::unique_ptr<AvInput> input_;
  VideoInfo info_;
  double last_ = 0;
  int64_t decoded_ = 0;
  std::unique_ptr<SwsContext, FreeScaler> scaler_;
  std::vector<uint8_t> rows_;
};

}  // namespace

Result<std::unique_ptr<FrameSource>> OpenAvVideo(std::span<const uint8_t> bytes) {
  return AvVideo::Open(bytes);
}

}  // namespace linnet
