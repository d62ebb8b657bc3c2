// libFuzzer: the containers of sound and video as the decoder helper reads them, without its process: kinds,
// WAV in all forms, chained files, time stamps, resampling, frames. FFmpeg's own libraries are not
// instrumented; this is about our use of them. Seeds: tests/fuzz/seeds/av.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "base/mapped_file.h"
#include "media/audio.h"
#include "media/links.h"
#include "media/media_kind.h"
#include "media/video_clip.h"

namespace {

void Hear(std::span<const uint8_t> bytes) {
  constexpr size_t kMostSamples = 1'000'000;  // stamps may ask for hours of silence
  auto file = linnet::MappedFile::FromBytes(bytes, "sound");
  if (!file) return;
  auto source = linnet::OpenSound(std::move(*file));
  if (!source) return;
  auto reader = linnet::AudioReader::FromSource(std::move(*source));
  if (!reader) return;
  std::vector<float> piece(4096);
  for (size_t total = 0; total < kMostSamples;) {
    const auto count = reader->Read(piece);
    if (!count || *count == 0) break;
    for (size_t i = 0; i < *count; ++i) {
      if (!std::isfinite(piece[i])) std::abort();
    }
    total += *count;
  }
  (void)reader->note();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::span<const uint8_t> bytes(data, size);
  (void)linnet::RecogniseMedia(bytes);
  const size_t link = linnet::media_internal::FirstLink(bytes);
  if (link > size || (link == 0 && size > 0)) std::abort();
  Hear(bytes);
  (void)linnet::DecodeVideo(bytes, "video", {.max_frames = 2, .max_sound_seconds = 5});
  return 0;
}
