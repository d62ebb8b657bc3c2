#include <algorithm>
#include <bit>
#include <cmath>
#include <utility>
#include <vector>

#include <fmt/format.h>

extern "C" {
#include <libavutil/version.h>
#include <libswscale/swscale.h>
}

#include "media/av.h"
#include "media/av_input.h"
#include "media/container.h"
#include "media/links.h"

namespace linnet {
namespace {

using media_internal::AvInput;
using media_internal::kMaxFramePixels;

// Below this a video is decoded through; further ahead it is worth looking for a key frame.
constexpr double kSeekAhead = 8.0;
constexpr size_t kMostLinks = 1000;

struct FreeScaler {
  void operator()(SwsContext* context) const { sws_freeContext(context); }
};

// The turn of a display matrix, which may mirror too, as EXIF numbers it. A point (x, y) of the stored
// picture is shown at (a x + c y, b x + d y), with the matrix a b u, c d v, … in rows; what is no whole
// quarter of a turn counts as the nearest one.
int OrientationOf(AVStream* stream) {
  const auto* matrix =
      reinterpret_cast<const int32_t*>(av_stream_get_side_data(stream, AV_PKT_DATA_DISPLAYMATRIX, nullptr));
  if (matrix == nullptr) return 1;
  const double a = matrix[0], b = matrix[1], c = matrix[3], d = matrix[4];
  if (std::abs(a) + std::abs(d) >= std::abs(b) + std::abs(c)) {
    if (a >= 0) return d >= 0 ? 1 : 4;
    return d >= 0 ? 2 : 3;
  }
  if (b >= 0) return c >= 0 ? 5 : 6;
  return c >= 0 ? 8 : 7;
}

class AvVideo : public FrameSource {
 public:
  static Result<std::unique_ptr<FrameSource>> Open(std::span<const uint8_t> bytes) {
    std::unique_ptr<AvVideo> video(new AvVideo);
    video->FindLinks(bytes);
    LINNET_TRY(video->OpenLink(0));
    AvInput& input = *video->input_;
    video->cut_ = media_internal::EndsEarly(bytes);
    VideoInfo& info = video->info_;
    info.orientation = OrientationOf(input.stream());
    info.format = input.FormatName();
    const bool joined = video->links_.size() > 1;
    info.seconds = joined ? video->links_.back().end : input.LengthSeconds();
    const AVRational rate = av_guess_frame_rate(input.format(), input.stream(), nullptr);
    info.fps = rate.num > 0 && rate.den > 0 ? av_q2d(rate) : 0.0;
    info.width = input.codec()->width;
    info.height = input.codec()->height;
    info.has_sound = joined
                         ? std::ranges::any_of(video->links_, &Link::has_sound)
                         : av_find_best_stream(input.format(), AVMEDIA_TYPE_AUDIO, -1, -1, nullptr, 0) >= 0;
    return std::unique_ptr<FrameSource>(std::move(video));
  }

  const VideoInfo& info() const override { return info_; }

  Result<std::optional<TimedPicture>> At(double seconds) override {
    if (seconds > decoded_to_ + kSeekAhead) LINNET_TRY(Seek(seconds));
    while (!ended_) {
      if (next_.frame == nullptr) LINNET_TRY(Decode());
      if (ended_ || (shown_.frame != nullptr && next_.seconds > seconds + Slack())) break;
      shown_ = std::move(next_);
    }
    if (shown_.frame == nullptr || (ended_ && seconds >= ShownUntil())) return std::nullopt;
    LINNET_ASSIGN(Picture picture, ToPicture(*shown_.frame));
    return TimedPicture{std::move(picture), std::max(seconds, shown_.seconds), shown_.index};
  }

 private:
  struct Timed {
    std::unique_ptr<AVFrame, media_internal::FreeFrame> frame;
    double seconds = 0;
    int64_t index = 0;
  };

  // Files that were put one behind the other, with their times in all. A single one is not looked into.
  struct Link {
    std::span<const uint8_t> bytes;
    double begin = 0, end = 0;
    bool has_sound = false;
  };

  void FindLinks(std::span<const uint8_t> bytes) {
    while (links_.empty() || !bytes.empty()) {
      const size_t size = links_.size() + 1 < kMostLinks ? media_internal::FirstLink(bytes) : bytes.size();
      links_.push_back({bytes.first(size)});
      bytes = bytes.subspan(size);
    }
    if (links_.size() == 1) return;
    double end = 0;
    for (Link& link : links_) {
      const AvInput::Facts facts = AvInput::Probe(link.bytes);
      link.begin = end;
      link.end = end += facts.seconds;
      link.has_sound = facts.has_sound;
    }
  }

  // The first from here that has pictures. Errors: those of the last.
  Status OpenLink(size_t link) {
    while (true) {
      auto input = AvInput::Open(links_[link].bytes, AVMEDIA_TYPE_VIDEO);
      if (!input && ++link < links_.size()) continue;
      if (!input) return std::unexpected(std::move(input).error());
      input_ = std::move(*input);
      link_ = link;
      return {};
    }
  }

  Status Seek(double seconds) {
    const auto behind = std::ranges::upper_bound(links_, seconds, {}, &Link::begin);
    const auto link = static_cast<size_t>(behind - links_.begin()) - 1;
    if (link > link_) {
      if (!OpenLink(link)) return {};  // there are no pictures: what follows here is all
      next_ = {};
      ended_ = false;
    }
    input_->SeekBefore(seconds - links_[link_].begin);
    return {};
  }

  // The next frame in the order of time; `ended_` when there is none.
  Status Decode() {
    LINNET_ASSIGN(const AVFrame* frame, input_->Next());
    while (frame == nullptr && link_ + 1 < links_.size() && OpenLink(link_ + 1)) {
      LINNET_ASSIGN(frame, input_->Next());
    }
    ended_ = frame == nullptr;
    if (ended_) return {};
    const double time = TimeOf(*frame);
    const auto index = info_.fps > 0 ? static_cast<int64_t>(std::llround(time * info_.fps)) : decoded_;
    next_ = {std::unique_ptr<AVFrame, media_internal::FreeFrame>(av_frame_clone(frame)), time, index};
    if (next_.frame == nullptr) return Fail(ErrorCode::kOutOfMemory, "no memory for a frame");
    decoded_to_ = std::max(decoded_to_, time);
    ++decoded_;
    return {};
  }

  // A frame that begins this soon counts as begun. Clocks of containers round, and WebM puts a whole film up
  // to 7 ms later, to make room for what an Opus decoder throws away.
  double Slack() const {
    constexpr double kMost = 0.01;
    return info_.fps > 0 ? std::min(kMost, 0.5 / info_.fps) : kMost;
  }

  double TimeOf(const AVFrame& frame) {
    const int64_t stamp = frame.best_effort_timestamp;
    if (stamp == AV_NOPTS_VALUE)
      return info_.fps > 0 ? static_cast<double>(decoded_) / info_.fps : decoded_to_;
    return links_[link_].begin + std::max(0.0, input_->SecondsOf(stamp));
  }

  // Of the last frame. It is held to the end of the video, if that is whole.
  double ShownUntil() {
#if LIBAVUTIL_VERSION_INT >= AV_VERSION_INT(57, 30, 100)
    const int64_t duration = shown_.frame->duration;
#else
    const int64_t duration = shown_.frame->pkt_duration;
#endif
    const double own = std::max(static_cast<double>(duration) * av_q2d(input_->stream()->time_base),
                                info_.fps > 0 ? 1.0 / info_.fps : 0.0);
    return std::max(shown_.seconds + own, cut_ || input_->skipped() > 0 ? 0.0 : info_.seconds);
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

  std::vector<Link> links_;
  size_t link_ = 0;  // that is read
  std::unique_ptr<AvInput> input_;
  VideoInfo info_;
  Timed shown_, next_;  // the frame on screen and the one that follows it
  bool ended_ = false;  // nothing follows
  bool cut_ = false;    // the file is shorter than it says
  double decoded_to_ = 0;
  int64_t decoded_ = 0;
  std::unique_ptr<SwsContext, FreeScaler> scaler_;
  std::vector<uint8_t> rows_;
};

}  // namespace

Result<std::unique_ptr<FrameSource>> OpenAvVideo(std::span<const uint8_t> bytes) {
  return AvVideo::Open(bytes);
}

}  // namespace linnet
