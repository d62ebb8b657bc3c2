// linnet-media: decodes one file from standard input in a sandbox and writes what it found as messages
// (wire.h). It is started by MediaLoader and of no use to a person.
//
//   linnet-media greet: says what the sandbox is granted, and nothing else
//   linnet-media picture APPLY_ORIENTATION MAX_PIXELS
//   linnet-media sound
//   linnet-media pages PROGRAM ARGUMENTS... : becomes a page converter, after the greeting; its output
//   follows linnet-media video FPS MAX_FRAMES BUDGET CELL SOUND MAX_SOUND_SECONDS
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "base/mapped_file.h"
#include "base/sandbox.h"
#include "media/audio.h"
#include "media/picture.h"
#include "media/video_clip.h"
#include "media/wire_output.h"

namespace linnet {
namespace {

constexpr int kPictureProcessors = 4;

using media_internal::MessageWriter;
using media_internal::Send;
using media_internal::SendError;
using media_internal::SendSamples;
using media_internal::SendSoundHead;

Status DecodeOnePicture(std::span<const uint8_t> bytes, char** arguments) {
  PictureOptions options;
  options.apply_orientation = std::atoi(arguments[0]) != 0;
  options.max_pixels = std::atoll(arguments[1]);
  LINNET_ASSIGN(const Picture picture, DecodePicture(bytes, "", options));
  MessageWriter message('P');
  message.I64(picture.width).I64(picture.height).Text(picture.format).Text(picture.note).Raw(picture.rgb);
  Send(message);
  return {};
}

Status DecodeSound(MappedFile file) {
  LINNET_ASSIGN(const std::unique_ptr<MonoSource> source, OpenSound(std::move(file)));
  SendSoundHead(source->info());
  std::vector<float> piece(1 << 14);
  int64_t rate = source->info().rate;
  while (true) {
    LINNET_ASSIGN(const size_t count, source->Read(piece));
    if (count == 0) break;
    if (source->rate() != rate) {
      rate = source->rate();
      MessageWriter change('R');
      Send(change.I64(rate));
    }
    SendSamples(std::span(piece).first(count));
  }
  MessageWriter end('N');
  Send(end.Text(source->info().note).I64(source->replaced()));
  return {};
}

Status DecodeOneVideo(std::span<const uint8_t> bytes, char** arguments) {
  VideoOptions options;
  options.frames_per_second = std::atof(arguments[0]);
  options.max_frames = std::atoll(arguments[1]);
  options.budget = std::atoll(arguments[2]);
  options.cell = std::atoll(arguments[3]);
  options.sound = std::atoi(arguments[4]) != 0;
  options.max_sound_seconds = std::atof(arguments[5]);
  LINNET_ASSIGN(const VideoClip clip, DecodeVideo(bytes, "", options));
  const VideoInfo& info = clip.info;
  MessageWriter head('V');
  Send(head.Text(info.format)
           .F64(info.fps)
           .F64(info.seconds)
           .I64(info.width)
           .I64(info.height)
           .I64(info.orientation)
           .I64(info.has_sound ? 1 : 0));
  for (const ClipFrame& frame : clip.frames) {
    MessageWriter message('F');
    Send(
        message.F64(frame.seconds).I64(frame.picture.width).I64(frame.picture.height).Raw(frame.picture.rgb));
  }
  SendSamples(clip.sound);
  MessageWriter end('N');
  Send(end.Text(clip.note).I64(0));
  return {};
}

void Greet(const SandboxState& state) {
  MessageWriter hello('H');
  Send(hello.U64((state.limits ? 1u : 0u) | (state.no_files ? 2u : 0u) | (state.few_calls ? 4u : 0u)));
}

int BecomeConverter(char** program) {
  constexpr uint64_t kMostSeconds = 600;  // of processor time, for a hundred pages at most
  Greet(EnterProgramSandbox(program[0], {.cpu_seconds = kMostSeconds}));
  BecomeProgram(program);
  return media_internal::kConverterNotStarted;
}

int Run(int count, char** arguments) {
  std::signal(SIGINT, SIG_IGN);  // Ctrl-C is for the program that started this one
  const std::string_view kind = count > 1 ? arguments[1] : "";
  if (kind == "pages" && count > 2) return BecomeConverter(arguments + 2);
  if (kind == "greet" && count == 2) {
    Greet(EnterSandbox({}));
    return 0;
  }
  const bool picture = kind == "picture" && count == 4, sound = kind == "sound" && count == 2;
  const bool video = kind == "video" && count == 8;
  if (!picture && !sound && !video) {
    std::fputs("linnet-media decodes media for linnet; it is not for use by hand\n", stderr);
    return 2;
  }
  auto file = MappedFile::FromStandardInput("");
  if (picture) PreparePictureLibraries();
  SandboxLimits limits{.processors =
                           picture ? kPictureProcessors : 0};  // decoders of HEIC and AVIF start threads
  if (file) limits.memory_bytes += file->bytes().size();       // the file is mapped already
  const SandboxState state = EnterSandbox(limits);
  Greet(state);
  Status status;
  if (!file)
    status = std::unexpected(file.error());
  else if (picture)
    status = DecodeOnePicture(file->bytes(), arguments + 2);
  else if (sound)
    status = DecodeSound(std::move(*file));
  else
    status = DecodeOneVideo(file->bytes(), arguments + 2);
  if (!status) SendError(status.error());
  MessageWriter end('Z');
  Send(end);
  return 0;
}

}  // namespace
}  // namespace linnet

#ifdef __SANITIZE_ADDRESS__
// Looking for leaks at the end takes ptrace, which the sandbox forbids.
extern "C" const char* __asan_default_options() { return "detect_leaks=0"; }
#endif

int main(int argc, char** argv) {
  const int code = linnet::Run(argc, argv);
  // Nothing at the end of the process needs rights that it no longer has.
  std::_Exit(code);
}
