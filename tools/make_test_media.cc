// Makes the sound and video files of tests/data/media with FFmpeg's libraries. They are in the repository;
// this says where they come from. Build and run:
//   g++ -std=c++20 tools/make_test_media.cc -o ./make_test_media $(pkg-config --cflags --libs libavformat
//   libavcodec libavutil)
//   ./make_test_media tests/data/media examples
//
// Sound: a tone of 500 Hz, amplitude 0.5 left and 0.25 right, during the odd seconds; silence in the even
// ones. Video: 6 s of 64 x 48 at 10 frames a second; in second s the left half has grey level 40 s + 20, the
// right half is black.
//
// film.ts is a film whose sound starts late, pauses and changes its rate: 22 s of black pictures;
// examples/command.wav from 4 s on at 22050 Hz, examples/weather.wav from 19.7 s on at 44100 Hz, nothing
// before, between and behind.
//
// Not made here: sine_22k.flac, a second of sine at 22050 Hz; alpha.heic, ten_bits.heic and grid.heic, one
// colour, Y'CbCr (150, 90, 180), through libheif, the last as four tiles that are cut to 100 x 90 pixels;
// ten_bits.avif, red.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/channel_layout.h>
#include <libavutil/display.h>
#include <libavutil/opt.h>
}

namespace {

int seconds = 6;
constexpr int kFps = 10, kWidth = 64, kHeight = 48;

void Check(bool good, const char* what) {
  if (!good) std::fprintf(stderr, "failed: %s\n", what), std::exit(1);
}

struct Track {
  AVCodecContext* codec = nullptr;
  AVStream* stream = nullptr;
  AVFrame* frame = nullptr;
  int64_t at = 0;  // frames or samples written
};

void Drain(AVFormatContext* out, Track& track) {
  AVPacket* packet = av_packet_alloc();
  while (avcodec_receive_packet(track.codec, packet) == 0) {
    packet->stream_index = track.stream->index;
    av_packet_rescale_ts(packet, track.codec->time_base, track.stream->time_base);
    Check(av_interleaved_write_frame(out, packet) == 0, "write");
  }
  av_packet_free(&packet);
}

Track AddTrack(AVFormatContext* out, const char* name, int rate, bool turned) {
  const AVCodec* encoder = avcodec_find_encoder_by_name(name);
  Check(encoder != nullptr, name);
  Track track;
  track.codec = avcodec_alloc_context3(encoder);
  track.stream = avformat_new_stream(out, nullptr);
  if (encoder->type == AVMEDIA_TYPE_AUDIO) {
    track.codec->sample_rate = rate;
    track.codec->sample_fmt = encoder->sample_fmts[0];
    av_channel_layout_default(&track.codec->ch_layout, 2);
    track.codec->time_base = {1, rate};
    track.codec->bit_rate = 64000;
  } else {
    track.codec->width = kWidth;
    track.codec->height = kHeight;
    track.codec->pix_fmt = AV_PIX_FMT_YUV420P;
    track.codec->time_base = {1, kFps};
    track.codec->framerate = {kFps, 1};
    track.codec->gop_size = 10;
    track.codec->bit_rate = 60000;
    if (turned) {
      auto* matrix = reinterpret_cast<int32_t*>(
          av_stream_new_side_data(track.stream, AV_PKT_DATA_DISPLAYMATRIX, 9 * sizeof(int32_t)));
      av_display_rotation_set(matrix, 90);
    }
  }
  if ((out->oformat->flags & AVFMT_GLOBALHEADER) != 0) track.codec->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
  track.codec->strict_std_compliance = FF_COMPLIANCE_EXPERIMENTAL;
  Check(avcodec_open2(track.codec, encoder, nullptr) == 0, "open encoder");
  avcodec_parameters_from_context(track.stream->codecpar, track.codec);
  track.stream->time_base = track.codec->time_base;
  track.frame = av_frame_alloc();
  return track;
}

void Put(AVFrame* frame, int channel, int i, double value) {
  const auto format = static_cast<AVSampleFormat>(frame->format);
  const bool planar = av_sample_fmt_is_planar(format) != 0;
  uint8_t* data = planar ? frame->data[channel] : frame->data[0];
  const int at = planar ? i : 2 * i + channel;
  switch (av_get_packed_sample_fmt(format)) {
    case AV_SAMPLE_FMT_S16:
      reinterpret_cast<int16_t*>(data)[at] = static_cast<int16_t>(std::lround(value * 32767));
      break;
    case AV_SAMPLE_FMT_S32:
      reinterpret_cast<int32_t*>(data)[at] = static_cast<int32_t>(std::lround(value * 2147483647.0));
      break;
    case AV_SAMPLE_FMT_FLT:
      reinterpret_cast<float*>(data)[at] = static_cast<float>(value);
      break;
    default:
      Check(false, "sample format");
  }
}

void WriteSound(AVFormatContext* out, Track& track, double until) {
  const int rate = track.codec->sample_rate;
  const int step = track.codec->frame_size > 0 ? track.codec->frame_size : 1024;
  while (track.at < until * rate) {
    AVFrame* frame = track.frame;
    frame->format = track.codec->sample_fmt;
    frame->sample_rate = rate;
    av_channel_layout_copy(&frame->ch_layout, &track.codec->ch_layout);
    frame->nb_samples = static_cast<int>(std::min<int64_t>(step, int64_t{seconds} * rate - track.at));
    if (frame->nb_samples <= 0) break;
    Check(av_frame_get_buffer(frame, 0) == 0, "buffer");
    for (int i = 0; i < frame->nb_samples; ++i) {
      const double t = static_cast<double>(track.at + i) / rate;
      const double tone = static_cast<int>(t) % 2 == 1 ? std::sin(2 * M_PI * 500 * t) : 0.0;
      Put(frame, 0, i, 0.5 * tone);
      Put(frame, 1, i, 0.25 * tone);
    }
    frame->pts = track.at;
    track.at += frame->nb_samples;
    Check(avcodec_send_frame(track.codec, frame) == 0, "send sound");
    Drain(out, track);
    av_frame_unref(frame);
  }
}

void WritePicture(AVFormatContext* out, Track& track) {
  AVFrame* frame = track.frame;
  frame->format = track.codec->pix_fmt;
  frame->width = kWidth;
  frame->height = kHeight;
  Check(av_frame_get_buffer(frame, 0) == 0, "buffer");
  const int grey = 40 * static_cast<int>(track.at / kFps) + 20;
  const int luma = 16 + grey * 219 / 255;
  for (int y = 0; y < kHeight; ++y) {
    for (int x = 0; x < kWidth; ++x)
      frame->data[0][y * frame->linesize[0] + x] = static_cast<uint8_t>(x < kWidth / 2 ? luma : 16);
  }
  for (int plane = 1; plane < 3; ++plane) {
    for (int y = 0; y < kHeight / 2; ++y) {
      for (int x = 0; x < kWidth / 2; ++x) frame->data[plane][y * frame->linesize[plane] + x] = 128;
    }
  }
  frame->pts = track.at++;
  Check(avcodec_send_frame(track.codec, frame) == 0, "send picture");
  Drain(out, track);
  av_frame_unref(frame);
}

void Make(const std::string& path, const char* video, const char* sound, int rate, bool turned = false) {
  AVFormatContext* out = nullptr;
  Check(avformat_alloc_output_context2(&out, nullptr, nullptr, path.c_str()) >= 0, path.c_str());
  Track pictures, samples;
  if (video != nullptr) pictures = AddTrack(out, video, rate, turned);
  if (sound != nullptr) samples = AddTrack(out, sound, rate, false);
  Check(avio_open(&out->pb, path.c_str(), AVIO_FLAG_WRITE) >= 0, "open file");
  out->flags |= AVFMT_FLAG_BITEXACT;
  Check(avformat_write_header(out, nullptr) >= 0, "header");
  if (video == nullptr) WriteSound(out, samples, seconds);
  for (int i = 0; video != nullptr && i < seconds * kFps; ++i) {
    WritePicture(out, pictures);
    if (sound != nullptr) WriteSound(out, samples, (i + 1.0) / kFps);
  }
  for (Track* track : {&pictures, &samples}) {
    if (track->codec == nullptr) continue;
    avcodec_send_frame(track->codec, nullptr);
    Drain(out, *track);
    avcodec_free_context(&track->codec);
    av_frame_free(&track->frame);
  }
  Check(av_write_trailer(out) == 0, "trailer");
  avio_closep(&out->pb);
  avformat_free_context(out);
}

std::vector<int16_t> ReadExample(const std::string& path) {
  std::vector<int16_t> samples(1 << 17);
  std::FILE* file = std::fopen(path.c_str(), "rb");
  Check(file != nullptr && std::fseek(file, 44, SEEK_SET) == 0, path.c_str());
  samples.resize(std::fread(samples.data(), 2, samples.size(), file));
  std::fclose(file);
  return samples;
}

// Twice the rate, with the mean between two samples.
std::vector<int16_t> Doubled(const std::vector<int16_t>& in) {
  std::vector<int16_t> out;
  for (size_t i = 0; i < in.size(); ++i) {
    out.push_back(in[i]);
    out.push_back(static_cast<int16_t>((in[i] + in[std::min(i + 1, in.size() - 1)]) / 2));
  }
  return out;
}

AVCodecContext* OpenMp2(int rate) {
  const AVCodec* encoder = avcodec_find_encoder(AV_CODEC_ID_MP2);
  AVCodecContext* codec = avcodec_alloc_context3(encoder);
  codec->sample_rate = rate;
  codec->sample_fmt = AV_SAMPLE_FMT_S16;
  av_channel_layout_default(&codec->ch_layout, 1);
  codec->time_base = {1, rate};
  codec->bit_rate = rate < 32000 ? 32000 : 64000;
  Check(avcodec_open2(codec, encoder, nullptr) == 0, "open mp2");
  return codec;
}

// Speech that begins `at` seconds, whole frames with zeros behind it.
void WriteSpeech(AVFormatContext* out, AVStream* stream, const std::vector<int16_t>& speech, int rate,
                 double at) {
  Track track;
  track.codec = OpenMp2(rate);
  track.stream = stream;
  track.frame = av_frame_alloc();
  const auto start = static_cast<int64_t>(at * rate);
  for (size_t done = 0; done < speech.size();) {
    AVFrame* frame = track.frame;
    frame->format = AV_SAMPLE_FMT_S16;
    frame->sample_rate = rate;
    av_channel_layout_default(&frame->ch_layout, 1);
    frame->nb_samples = track.codec->frame_size;
    Check(av_frame_get_buffer(frame, 0) == 0, "buffer");
    for (int i = 0; i < frame->nb_samples; ++i) {
      const size_t from = done + static_cast<size_t>(i);
      reinterpret_cast<int16_t*>(frame->data[0])[i] = from < speech.size() ? speech[from] : int16_t{0};
    }
    frame->pts = start + static_cast<int64_t>(done);
    done += static_cast<size_t>(frame->nb_samples);
    Check(avcodec_send_frame(track.codec, frame) == 0, "send sound");
    Drain(out, track);
    av_frame_unref(frame);
  }
  avcodec_send_frame(track.codec, nullptr);
  Drain(out, track);
  avcodec_free_context(&track.codec);
  av_frame_free(&track.frame);
}

void MakeFilm(const std::string& path, const std::string& examples) {
  AVFormatContext* out = nullptr;
  Check(avformat_alloc_output_context2(&out, nullptr, "mpegts", path.c_str()) >= 0, path.c_str());
  av_opt_set(out->priv_data, "pat_period", "2", 0);
  Track pictures = AddTrack(out, "mpeg4", 0, false);
  AVCodecContext* sound = OpenMp2(22050);
  AVStream* stream = avformat_new_stream(out, nullptr);
  avcodec_parameters_from_context(stream->codecpar, sound);
  avcodec_free_context(&sound);
  Check(avio_open(&out->pb, path.c_str(), AVIO_FLAG_WRITE) >= 0, "open file");
  out->flags |= AVFMT_FLAG_BITEXACT;
  Check(avformat_write_header(out, nullptr) >= 0, "header");
  constexpr int kStep = 10;  // one picture a second
  for (int second = 0; second < 22; ++second) {
    pictures.at = second * kStep;
    WritePicture(out, pictures);
    if (second == 4) WriteSpeech(out, stream, ReadExample(examples + "/command.wav"), 22050, 4.0);
    if (second == 19) WriteSpeech(out, stream, Doubled(ReadExample(examples + "/weather.wav")), 44100, 19.7);
  }
  avcodec_send_frame(pictures.codec, nullptr);
  Drain(out, pictures);
  avcodec_free_context(&pictures.codec);
  av_frame_free(&pictures.frame);
  Check(av_write_trailer(out) == 0, "trailer");
  avio_closep(&out->pb);
  avformat_free_context(out);
}

}  // namespace

int main(int argc, char** argv) {
  av_log_set_level(AV_LOG_ERROR);
  const std::string to = argc > 1 ? argv[1] : ".";
  MakeFilm(to + "/film.ts", argc > 2 ? argv[2] : "examples");
  Make(to + "/clip.mp4", "mpeg4", "aac", 44100);
  Make(to + "/clip-h264.mp4", "libx264", "aac", 48000);
  Make(to + "/turned.mp4", "mpeg4", nullptr, 0, true);
  Make(to + "/clip.webm", "libvpx", "libopus", 48000);
  Make(to + "/tone.flac", nullptr, "flac", 44100);
  Make(to + "/tone.mp3", nullptr, "libmp3lame", 44100);
  Make(to + "/tone.ogg", nullptr, "libvorbis", 44100);
  Make(to + "/tone.opus", nullptr, "libopus", 48000);
  Make(to + "/tone.m4a", nullptr, "aac", 44100);
  seconds = 1;  // for tests that decode thousands of damaged copies
  Make(to + "/tiny.mp4", "libx264", "aac", 44100);
  Make(to + "/tiny.webm", "libvpx", "libopus", 48000);
}
