#include "media/wav.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <optional>
#include <vector>

#include <fmt/format.h>

#include "media/audio.h"
#include "media/byte_reader.h"

namespace linnet {
namespace {

using media_internal::ByteReader;

constexpr uint16_t kPcm = 1, kFloat = 3, kALawTag = 6, kMuLawTag = 7, kExtensible = 0xfffe;
constexpr uint32_t kUnknownSize = 0xffffffffu;

bool Is(std::span<const uint8_t> tag, const char* name) {
  return tag.size() == 4 && std::memcmp(tag.data(), name, 4) == 0;
}

// ITU-T G.711, scaled to -1..1 like 16-bit PCM.
float MuLaw(uint8_t code) {
  code = static_cast<uint8_t>(~code);
  const int magnitude = (((code & 15) << 3) + 132) << ((code >> 4) & 7);
  return static_cast<float>((code & 0x80) != 0 ? 132 - magnitude : magnitude - 132) / 32768.0f;
}

float ALaw(uint8_t code) {
  code ^= 0x55;
  const int segment = (code >> 4) & 7;
  int magnitude = ((code & 15) << 4) + 8;
  if (segment > 0) magnitude = (magnitude + 256) << (segment - 1);
  return static_cast<float>((code & 0x80) != 0 ? magnitude : -magnitude) / 32768.0f;
}

// numpy's order of a float32 sum: left to right below 8 values, else eight running sums. It decides the last
// bit of the mean of many channels.
float Sum(std::span<const float> values) {
  float rest = 0.0f;
  size_t i = 0;
  if (values.size() >= 8) {
    std::array<float, 8> r;
    std::copy_n(values.begin(), 8, r.begin());
    for (i = 8; i + 8 <= values.size(); i += 8) {
      for (size_t j = 0; j < 8; ++j) r[j] += values[i + j];
    }
    rest = ((r[0] + r[1]) + (r[2] + r[3])) + ((r[4] + r[5]) + (r[6] + r[7]));
  }
  for (; i < values.size(); ++i) rest += values[i];
  return rest;
}

std::unexpected<Error> NoSamples(std::string_view what) {
  return Fail(ErrorCode::kBadFile, fmt::format("the WAV file {}", what),
              "the file was cut off or never finished: record or copy it again");
}

}  // namespace

Status WavReader::ReadFormat(std::span<const uint8_t> chunk) {
  ByteReader in(chunk);
  uint16_t tag = in.U16();
  channels_ = in.U16();
  rate_ = in.U32();
  in.Take(6);  // bytes a second and a frame: follow from the rest
  const uint16_t bits = in.U16();
  if (in.ended()) return NoSamples("ends inside its format (\"fmt \" chunk)");
  if (tag == kExtensible) {
    in.Seek(24);
    tag = in.U16();
    if (in.ended()) return NoSamples("has an extensible format without a sub-format");
  }
  sample_bytes_ = (bits + 7) / 8;
  std::optional<Kind> kind;
  constexpr std::array<Kind, 4> kPcmKinds = {Kind::kU8, Kind::kS16, Kind::kS24, Kind::kS32};
  if (tag == kPcm && sample_bytes_ >= 1 && sample_bytes_ <= 4)
    kind = kPcmKinds[static_cast<size_t>(sample_bytes_ - 1)];
  if (tag == kFloat && bits == 32) kind = Kind::kF32;
  if (tag == kFloat && bits == 64) kind = Kind::kF64;
  if (tag == kALawTag && bits == 8) kind = Kind::kALaw;
  if (tag == kMuLawTag && bits == 8) kind = Kind::kMuLaw;
  if (!kind) {
    return Fail(ErrorCode::kUnsupported, fmt::format("a WAV file with format {} of {} bits", tag, bits),
                "convert it to 16-bit PCM");
  }
  if (channels_ == 0 || rate_ == 0) {
    return Fail(ErrorCode::kBadFile, fmt::format("a WAV file of {} channels at {} Hz", channels_, rate_),
                "record or export it again");
  }
  kind_ = *kind;
  return {};
}

bool WavReader::Recognises(std::span<const uint8_t> bytes) {
  if (bytes.size() < 12) return false;
  const auto tag = bytes.first(4);
  return (Is(tag, "RIFF") || Is(tag, "RF64") || Is(tag, "BW64")) && Is(bytes.subspan(8, 4), "WAVE");
}

Result<WavReader> WavReader::Open(std::span<const uint8_t> bytes) {
  if (!Recognises(bytes)) {
    return Fail(ErrorCode::kBadFile, "is not a WAV file", "give a WAV file");
  }
  ByteReader in(bytes, 4);
  const uint32_t riff_size = in.U32();
  in.Take(4);
  const bool large = !Is(bytes.first(4), "RIFF");
  WavReader reader;
  uint64_t large_size = 0;
  while (in.left() >= 8) {
    const auto tag = in.Take(4);
    uint64_t size = in.U32();
    if (Is(tag, "data")) {
      if (reader.sample_bytes_ == 0)
        return NoSamples("has samples but no format (\"fmt \" chunk) before them");
      if (large && size == kUnknownSize) size = large_size;
      // A recorder that was stopped before it could write the sizes leaves 0 or the largest number: all is
      // data.
      const bool unfinished =
          size == kUnknownSize || (size == 0 && (riff_size == 0 || riff_size == kUnknownSize));
      const uint64_t there = unfinished ? in.left() : std::min<uint64_t>(size, in.left());
      const uint64_t frame = static_cast<uint64_t>(reader.channels_ * reader.sample_bytes_);
      reader.truncated_ = !unfinished && size > in.left();
      reader.frames_ = static_cast<int64_t>(there / frame);
      reader.data_ = in.Take(there / frame * frame);
      return reader;
    }
    const size_t start = in.at();
    const auto chunk = in.Take(size);
    if (Is(tag, "fmt ")) LINNET_TRY(reader.ReadFormat(chunk));
    if (Is(tag, "ds64") && chunk.size() >= 16) {
      ByteReader sizes(chunk, 8);
      large_size = sizes.U32();
      large_size |= static_cast<uint64_t>(sizes.U32()) << 32;
    }
    if (chunk.size() < size) break;
    in.Seek(start + size + (size & 1));
  }
  return NoSamples(reader.sample_bytes_ == 0 ? "ends before its format (\"fmt \" chunk)"
                                             : "has no \"data\" chunk");
}

float WavReader::Sample(const uint8_t* at) const {
  const auto u32 = [&](int bytes) {
    uint32_t value = 0;
    for (int i = 0; i < bytes; ++i) value |= static_cast<uint32_t>(at[i]) << (8 * i);
    return value;
  };
  switch (kind_) {
    case Kind::kU8:
      return static_cast<float>(at[0] - 128) / 128.0f;
    case Kind::kS16:
      return static_cast<float>(static_cast<int16_t>(u32(2))) / 32768.0f;
    case Kind::kS24:
      return static_cast<float>(static_cast<int32_t>(u32(3) << 8) >> 8) / 8388608.0f;
    case Kind::kS32:
      return static_cast<float>(static_cast<int32_t>(u32(4))) / 2147483648.0f;
    case Kind::kF32:
      return std::bit_cast<float>(u32(4));
    case Kind::kF64: {
      double value;
      std::memcpy(&value, at, sizeof(value));
      return static_cast<float>(value);
    }
    case Kind::kALaw:
      return ALaw(at[0]);
    case Kind::kMuLaw:
      return MuLaw(at[0]);
  }
  return 0.0f;
}

float WavReader::FrameMean(const uint8_t* frame) {
  std::array<float, 64> few;
  std::vector<float> many;
  const size_t channels = static_cast<size_t>(channels_);
  if (channels > few.size()) many.resize(channels);
  const std::span<float> values(many.empty() ? few.data() : many.data(), channels);
  for (size_t c = 0; c < channels; ++c) {
    values[c] = Sample(frame + c * static_cast<size_t>(sample_bytes_));
    if (!IsUsableSample(values[c])) {
      values[c] = 0.0f;
      ++replaced_;
    }
  }
  return channels == 1 ? values[0] : Sum(values) / static_cast<float>(channels);
}

size_t WavReader::Read(std::span<float> out) {
  const size_t count = std::min(out.size(), static_cast<size_t>(frames_ - next_));
  const size_t frame_bytes = static_cast<size_t>(channels_ * sample_bytes_);
  const uint8_t* from = data_.data() + static_cast<size_t>(next_) * frame_bytes;
  for (size_t i = 0; i < count; ++i) out[i] = FrameMean(from + i * frame_bytes);
  next_ += static_cast<int64_t>(count);
  return count;
}

}  // namespace linnet
