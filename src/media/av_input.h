// Private to the FFmpeg part: a demuxer over bytes in memory, or a device, and one decoder of one stream.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
}

#include "linnet/error.h"

namespace linnet::media_internal {

inline constexpr int64_t kMaxFramePixels = 64'000'000;  // a little more than 8K video

struct FreeFormat {
  void operator()(AVFormatContext* context) const { avformat_close_input(&context); }
};
struct FreeCodec {
  void operator()(AVCodecContext* context) const { avcodec_free_context(&context); }
};
struct FreePacket {
  void operator()(AVPacket* packet) const { av_packet_free(&packet); }
};
struct FreeFrame {
  void operator()(AVFrame* frame) const { av_frame_free(&frame); }
};
struct FreeIo {
  void operator()(AVIOContext* io) const {
    av_freep(&io->buffer);
    avio_context_free(&io);
  }
};

// Reads frames of the best stream of one type. Damaged packets are skipped and counted.
class AvInput {
 public:
  // Only containers and codecs on a list of common ones; nothing but `bytes` is ever read.
  static Result<std::unique_ptr<AvInput>> Open(std::span<const uint8_t> bytes, AVMediaType type);

  // What is in a file, without decoding any of it.
  struct Facts {
    double seconds = 0;  // from its beginning to the end of the longest stream
    bool has_sound = false;
  };
  static Facts Probe(std::span<const uint8_t> bytes);

  // A device that is recorded from; its sound is taken as it comes. `stopped` ends it, also while nothing
  // comes.
  static Result<std::unique_ptr<AvInput>> OpenDevice(const AVInputFormat* device, const std::string& name,
                                                     std::function<bool()> stopped);

  // The next decoded frame, valid until the next call; nullptr at the end.
  Result<const AVFrame*> Next();
  // The next frame comes from the last key frame at or before this time, if the container can do that.
  void SeekBefore(double seconds);

  AVFormatContext* format() { return format_.get(); }
  AVStream* stream() { return format_->streams[stream_]; }
  AVCodecContext* codec() { return codec_.get(); }
  int64_t skipped() const { return skipped_; }
  // Where the time of the file begins, as its stamps have it: the same for all its streams.
  double OriginSeconds() const { return origin_; }
  // Whether stamps of this kind of file count from its own beginning, not from that of a stream.
  bool CountsFromZero();
  // Whether its frames have stamps of their own; in a bare row of frames they are counted only, at the rate
  // of the first.
  bool HasStamps();
  // Of a stamp of the stream, since that beginning.
  double SecondsOf(int64_t stamp);
  double LengthSeconds();  // since that beginning; 0 = unknown
  // Whether the file itself tells how long it is, so that it can be compared with what is there.
  bool LengthIsTold();
  std::string FormatName();

 private:
  static int Read(void* self, uint8_t* out, int count);
  static int64_t Seek(void* self, int64_t offset, int whence);
  Status OpenFormat();
  Status OpenCodec(AVMediaType type);
  Status AllocateFrame();
  void FindOrigin();

  std::span<const uint8_t> bytes_;
  std::function<bool()> stopped_;  // of a device; empty for a file
  int64_t at_ = 0;
  std::unique_ptr<AVIOContext, FreeIo> io_;
  std::unique_ptr<AVFormatContext, FreeFormat> format_;
  std::unique_ptr<AVCodecContext, FreeCodec> codec_;
  std::unique_ptr<AVPacket, FreePacket> packet_;
  std::unique_ptr<AVFrame, FreeFrame> frame_;
  int stream_ = -1;
  bool draining_ = false;
  int64_t skipped_ = 0;
  double origin_ = 0;
};

}  // namespace linnet::media_internal
