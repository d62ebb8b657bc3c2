#include "media/av_input.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <string_view>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include "media/container.h"
#include "media/media_kind.h"

extern "C" {
#include <libavutil/error.h>
#include <libavutil/log.h>
#include <libavutil/opt.h>
}

namespace linnet::media_internal {
namespace {

// Playlists, networks, capture devices and rare containers stay closed: they reach beyond the file or are
// little tested.
constexpr const char* kContainers =
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,ogg,mp3,flac,aac,avi,wav,w64,aiff,au,caf,amr,mpegts,mpeg,flv,asf";
constexpr const char* kCodecs =
    "h264,hevc,vp8,vp9,av1,libdav1d,mpeg4,mpeg2video,mpeg1video,mjpeg,theora,h263,flv,prores,"
    "wmv1,wmv2,wmv3,vc1,msmpeg4v2,msmpeg4,wmav1,wmav2,wmapro,wmavoice,"
    "flac,mp3,mp3float,mp2,mp2float,vorbis,libvorbis,opus,libopus,aac,aac_fixed,alac,ac3,eac3,amrnb,amrwb,"
    "pcm_u8,pcm_s8,pcm_s16le,pcm_s16be,pcm_s24le,pcm_s24be,pcm_s32le,pcm_s32be,pcm_f32le,pcm_f32be,pcm_f64le,"
    "pcm_f64be,pcm_alaw,pcm_mulaw,adpcm_ms,adpcm_ima_wav,adpcm_ima_qt,gsm_ms";
constexpr int kIoBuffer = 1 << 16;
constexpr int kMaxStreams = 32;
constexpr std::chrono::milliseconds kDeviceWait(5);
// MP4, Matroska and Ogg count from their own beginning, so what starts late has silence before it. Further
// ahead it is a piece of a stream that ran for long, which begins where it begins.
constexpr double kLatestStart = 600;
// Encoders put a little before the beginning that is not to be heard. More than that is heard, and begins the
// file.
constexpr double kLongestPriming = 0.25;
// Of a file, in seconds; more is damage.
constexpr double kLongest = 1e9;

std::string AvMessage(int error) {
  char text[AV_ERROR_MAX_STRING_SIZE] = {};
  av_strerror(error, text, sizeof(text));
  return text;
}

bool IsPicture(const MediaFormat& format) {
  return format.kind == MediaKind::kPicture || format.kind == MediaKind::kPdf;
}

std::unexpected<Error> NoSoundOrVideo(std::span<const uint8_t> bytes) {
  const MediaFormat format = RecogniseMedia(bytes);
  if (IsPicture(format)) {
    return Fail(ErrorCode::kBadFile, fmt::format("is {}, no sound or video", format.name),
                "give it as a picture (--image)");
  }
  return Fail(ErrorCode::kBadFile,
              format.kind == MediaKind::kUnknown && !format.name.empty()
                  ? fmt::format("is {}, no sound or video Linnet reads", format.name)
                  : std::string("is no sound or video file that can be read"),
              "give WAV, FLAC, MP3, Ogg, Opus, M4A, WebM or MP4");
}

int RefuseOtherFiles(AVFormatContext*, AVIOContext**, const char*, int, AVDictionary**) {
  return AVERROR(EPERM);
}

}  // namespace

int AvInput::Read(void* self, uint8_t* out, int count) {
  auto* input = static_cast<AvInput*>(self);
  const int64_t left = static_cast<int64_t>(input->bytes_.size()) - input->at_;
  if (left <= 0 || count <= 0) return AVERROR_EOF;
  const auto there = static_cast<int>(std::min<int64_t>(left, count));
  std::memcpy(out, input->bytes_.data() + input->at_, static_cast<size_t>(there));
  input->at_ += there;
  return there;
}

int64_t AvInput::Seek(void* self, int64_t offset, int whence) {
  auto* input = static_cast<AvInput*>(self);
  const auto size = static_cast<int64_t>(input->bytes_.size());
  if ((whence & AVSEEK_SIZE) != 0) return size;
  whence &= ~AVSEEK_FORCE;
  const int64_t base = whence == SEEK_CUR ? input->at_ : whence == SEEK_END ? size : 0;
  if (offset < -base || offset > size - base) return AVERROR(EINVAL);
  input->at_ = base + offset;
  return input->at_;
}

Result<std::unique_ptr<AvInput>> AvInput::Open(std::span<const uint8_t> bytes, AVMediaType type) {
  av_log_set_level(AV_LOG_QUIET);
  std::unique_ptr<AvInput> input(new AvInput);
  input->bytes_ = bytes;
  LINNET_TRY(input->OpenFormat());
  LINNET_TRY(input->OpenCodec(type));
  LINNET_TRY(input->AllocateFrame());
  return input;
}

AvInput::Facts AvInput::Probe(std::span<const uint8_t> bytes) {
  av_log_set_level(AV_LOG_QUIET);
  AvInput input;
  input.bytes_ = bytes;
  if (!input.OpenFormat()) return {};
  Facts facts;
  AVFormatContext* format = input.format_.get();
  // Estimates of such streams' lengths may be seconds short, so all of it is read.
  const std::unique_ptr<AVPacket, FreePacket> packet(av_packet_alloc());
  while (packet != nullptr && av_read_frame(format, packet.get()) >= 0) {
    const int64_t stamp = packet->pts != AV_NOPTS_VALUE ? packet->pts : packet->dts;
    const double unit = av_q2d(format->streams[packet->stream_index]->time_base);
    if (stamp != AV_NOPTS_VALUE) {
      const double end = static_cast<double>(stamp + packet->duration) * unit - input.origin_;
      if (end < kLongest) facts.seconds = std::max(facts.seconds, end);
    }
    av_packet_unref(packet.get());
  }
  facts.has_sound = av_find_best_stream(format, AVMEDIA_TYPE_AUDIO, -1, -1, nullptr, 0) >= 0;
  return facts;
}

Result<std::unique_ptr<AvInput>> AvInput::OpenDevice(const AVInputFormat* device, const std::string& name,
                                                     std::function<bool()> stopped) {
  av_log_set_level(AV_LOG_QUIET);
  std::unique_ptr<AvInput> input(new AvInput);
  input->stopped_ = std::move(stopped);
  AVFormatContext* context = avformat_alloc_context();
  if (context == nullptr) return Fail(ErrorCode::kOutOfMemory, "no memory for the device");
  // Reading gives way while there is nothing, so that a recording can be stopped at any time.
  context->flags |= AVFMT_FLAG_NONBLOCK;
  context->interrupt_callback = {[](void* self) { return static_cast<AvInput*>(self)->stopped_() ? 1 : 0; },
                                 input.get()};
  const int opened =
      avformat_open_input(&context, name.c_str(), device, nullptr);  // frees the context when it fails
  input->format_.reset(context);
  if (opened < 0) {
    return Fail(ErrorCode::kNotFound, fmt::format("{}:{}: {}", device->name, name, AvMessage(opened)),
                "check that it is connected and that its name is right");
  }
  LINNET_TRY(input->OpenCodec(AVMEDIA_TYPE_AUDIO));
  LINNET_TRY(input->AllocateFrame());
  return input;
}

Status AvInput::AllocateFrame() {
  packet_.reset(av_packet_alloc());
  frame_.reset(av_frame_alloc());
  if (packet_ == nullptr || frame_ == nullptr) return Fail(ErrorCode::kOutOfMemory, "no memory for a frame");
  return {};
}

Status AvInput::OpenFormat() {
  // Some pictures are files of the shape of MP4.
  if (IsPicture(RecogniseMedia(bytes_))) return NoSoundOrVideo(bytes_);
  auto* buffer = static_cast<unsigned char*>(av_malloc(kIoBuffer));
  io_.reset(buffer == nullptr ? nullptr
                              : avio_alloc_context(buffer, kIoBuffer, 0, this, Read, nullptr, Seek));
  format_.reset(avformat_alloc_context());
  if (io_ == nullptr || format_ == nullptr) {
    if (io_ == nullptr) av_free(buffer);
    return Fail(ErrorCode::kOutOfMemory, "no memory for the demuxer");
  }
  AVFormatContext* context = format_.get();
  context->pb = io_.get();
  context->io_open = RefuseOtherFiles;
  context->max_streams = kMaxStreams;
  av_opt_set(context, "format_whitelist", kContainers, 0);
  av_opt_set(context, "codec_whitelist", kCodecs, 0);
  context = format_.release();
  const int opened = avformat_open_input(&context, "", nullptr, nullptr);  // frees the context when it fails
  format_.reset(context);
  if (opened < 0 && LacksIndex(bytes_)) {
    return Fail(ErrorCode::kBadFile,
                "was never finished: the index (moov) that a recorder writes last is missing, so nothing in "
                "it can be found",
                "a repair tool can rebuild it from another recording of the same device");
  }
  // EINVAL: a container that is not on the list.
  if (opened == AVERROR_INVALIDDATA || opened == AVERROR_EOF || opened == AVERROR(EINVAL)) {
    return NoSoundOrVideo(bytes_);
  }
  if (opened < 0) return Fail(ErrorCode::kBadFile, "cannot be opened: " + AvMessage(opened));
  const int found = avformat_find_stream_info(format_.get(), nullptr);
  if (found < 0)
    return Fail(ErrorCode::kBadFile, "its streams cannot be read: " + AvMessage(found),
                "the file is damaged");
  FindOrigin();
  return {};
}

bool AvInput::CountsFromZero() {
  const std::string_view name = format_->iformat->name;
  return name.starts_with("mov") || name.starts_with("matroska") || name == "avi" || name == "ogg";
}

bool AvInput::HasStamps() {
  constexpr std::string_view kStamped[] = {"mpegts", "mpeg", "flv", "asf"};
  return CountsFromZero() ||
         std::ranges::find(kStamped, std::string_view(format_->iformat->name)) != std::end(kStamped);
}

void AvInput::FindOrigin() {
  if (format_->start_time == AV_NOPTS_VALUE) return;
  origin_ = static_cast<double>(format_->start_time) / AV_TIME_BASE;
  if (CountsFromZero() && origin_ >= -kLongestPriming && origin_ <= kLatestStart) origin_ = 0;
}

Status AvInput::OpenCodec(AVMediaType type) {
  const AVCodec* decoder = nullptr;
  stream_ = av_find_best_stream(format_.get(), type, -1, -1, &decoder, 0);
  const char* kind = type == AVMEDIA_TYPE_AUDIO ? "sound" : "video";
  // The picture on the cover of a song is no video.
  const bool cover = stream_ >= 0 && (stream()->disposition & AV_DISPOSITION_ATTACHED_PIC) != 0;
  if (stream_ == AVERROR_STREAM_NOT_FOUND || cover) {
    const bool sound = type == AVMEDIA_TYPE_AUDIO;
    const auto other = sound ? AVMEDIA_TYPE_VIDEO : AVMEDIA_TYPE_AUDIO;
    const bool has_other = av_find_best_stream(format_.get(), other, -1, -1, nullptr, 0) >= 0;
    return Fail(ErrorCode::kUnsupported, fmt::format("has no {} track", kind),
                !has_other ? ""
                : sound    ? "give it as a video (--video)"
                           : "give it as a sound (--audio)");
  }
  if (stream_ < 0 || decoder == nullptr) {
    return Fail(ErrorCode::kUnsupported, fmt::format("its {} is of a kind that cannot be decoded", kind),
                "convert it to a common format");
  }
  codec_.reset(avcodec_alloc_context3(decoder));
  if (codec_ == nullptr) return Fail(ErrorCode::kOutOfMemory, "no memory for the decoder");
  avcodec_parameters_to_context(codec_.get(), stream()->codecpar);
  codec_->pkt_timebase = stream()->time_base;
  codec_->max_pixels = kMaxFramePixels;
  // One thread: the sandbox allows no others, and results stay in order.
  codec_->thread_count = 1;
  av_opt_set(codec_.get(), "codec_whitelist", kCodecs, 0);
  const int opened = avcodec_open2(codec_.get(), decoder, nullptr);
  if (opened < 0) {
    return Fail(ErrorCode::kUnsupported,
                fmt::format("its {} ({}) cannot be decoded: {}", kind, decoder->name, AvMessage(opened)),
                "convert it to a common format");
  }
  // Packets of other streams cost nothing.
  for (unsigned i = 0; i < format_->nb_streams; ++i) {
    if (static_cast<int>(i) != stream_) format_->streams[i]->discard = AVDISCARD_ALL;
  }
  return {};
}

Result<const AVFrame*> AvInput::Next() {
  while (true) {
    av_frame_unref(frame_.get());
    const int received = avcodec_receive_frame(codec_.get(), frame_.get());
    if (received == 0) return frame_.get();
    if (received == AVERROR_EOF) return nullptr;
    if (received != AVERROR(EAGAIN)) {
      ++skipped_;
      if (draining_) return nullptr;
    }
    if (draining_) return nullptr;
    av_packet_unref(packet_.get());
    if (stopped_ && stopped_()) return nullptr;
    const int read = av_read_frame(format_.get(), packet_.get());
    if (read == AVERROR(EAGAIN) && stopped_) {
      std::this_thread::sleep_for(kDeviceWait);
      continue;
    }
    if (read < 0) {  // the end, or damage behind which nothing can be found
      if (read != AVERROR_EOF) ++skipped_;
      draining_ = true;
      avcodec_send_packet(codec_.get(), nullptr);
      continue;
    }
    if (packet_->stream_index != stream_) continue;
    if (avcodec_send_packet(codec_.get(), packet_.get()) < 0) ++skipped_;
  }
}

void AvInput::SeekBefore(double seconds) {
  const auto at = static_cast<int64_t>((seconds + origin_) / av_q2d(stream()->time_base));
  if (av_seek_frame(format_.get(), stream_, at, AVSEEK_FLAG_BACKWARD) < 0) return;
  avcodec_flush_buffers(codec_.get());
  draining_ = false;
}

double AvInput::SecondsOf(int64_t stamp) {
  return static_cast<double>(stamp) * av_q2d(stream()->time_base) - origin_;
}

double AvInput::LengthSeconds() {
  double seconds = 0;
  if (stream()->duration != AV_NOPTS_VALUE) {
    const int64_t start = stream()->start_time;
    seconds = static_cast<double>(stream()->duration) * av_q2d(stream()->time_base) +
              (start == AV_NOPTS_VALUE ? 0.0 : std::max(0.0, SecondsOf(start)));
  } else if (format_->duration != AV_NOPTS_VALUE) {
    seconds = static_cast<double>(format_->duration) / AV_TIME_BASE;
  }
  return seconds > 0 && seconds < 1e9 ? seconds : 0.0;
}

bool AvInput::LengthIsTold() {
  const std::string_view name = format_->iformat->name;
  return (name == "flac" || name == "mp3") &&
         format_->duration_estimation_method != AVFMT_DURATION_FROM_BITRATE;
}

std::string AvInput::FormatName() {
  std::string name = format_->iformat->name;
  if (name.starts_with("mov")) return "MP4";
  if (name.starts_with("matroska")) return "WebM";
  if (name == "asf") return "Windows Media";
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::toupper(c); });
  return name;
}

}  // namespace linnet::media_internal
