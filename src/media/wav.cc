#include "media/wav.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <optional>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "media/audio.h"
#include "media/byte_reader.h"

namespace linnet {
namespace {

using namespace std::string_view_literals;
using media_internal::ByteReader;
using Bytes = std::span<const uint8_t>;

constexpr uint16_t kPcm = 1, kFloat = 3, kALawTag = 6, kMuLawTag = 7, kExtensible = 0xfffe;
constexpr uint32_t kUnknownSize = 0xffffffffu;
constexpr size_t kFramesAtOnce = 1 << 12;
constexpr std::string_view kWave64 = "riff\x2e\x91\xcf\x11"sv;

bool Is(Bytes tag, std::string_view name) {
  return tag.size() == name.size() && std::memcmp(tag.data(), name.data(), name.size()) == 0;
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

std::unexpected<Error> NoSamples(std::string_view what) {
  return Fail(ErrorCode::kBadFile, fmt::format("the WAV file {}", what),
              "the file was cut off or never finished: record or copy it again");
}

std::unexpected<Error> Contradiction(std::string what) {
  return Fail(ErrorCode::kBadFile, "the WAV file contradicts itself: " + std::move(what),
              "record or export it again");
}

// Chunks as the three families have them: a name, a size, a content, padding.
struct Chunks {
  ByteReader in;
  bool wave64;

  struct Chunk {
    Bytes tag;  // four bytes
    uint64_t size = 0;
  };

  size_t HeadSize() const { return wave64 ? 24 : 8; }
  // False at the end. The reader stands at the content then.
  bool Next(Chunk& chunk) {
    if (in.left() < HeadSize()) return false;
    chunk.tag = in.Take(4);
    if (!wave64) {
      chunk.size = in.U32();
      return true;
    }
    in.Take(12);  // the rest of a name of 16 bytes
    const uint64_t low = in.U32(), size = low | static_cast<uint64_t>(in.U32()) << 32;
    chunk.size = size < HeadSize() ? 0 : size - HeadSize();  // it counts the head
    return true;
  }
  uint64_t Padded(uint64_t size) const { return wave64 ? (size + 7) & ~uint64_t{7} : size + (size & 1); }
};

// What an editor writes behind the samples: nothing but chunks, up to the end or to another file. Gives that
// file, which is usually empty; nullopt where other bytes stand there.
std::optional<Bytes> BehindChunks(Bytes bytes, bool big_endian, bool wave64) {
  Chunks chunks{ByteReader(bytes, 0, big_endian), wave64};
  Chunks::Chunk chunk;
  while (true) {
    const Bytes rest = bytes.subspan(chunks.in.at());
    if (WavReader::Recognises(rest)) return rest;
    if (!chunks.Next(chunk)) break;
    const auto printable = [](uint8_t c) { return c >= ' ' && c < 0x7f; };
    if (!std::ranges::all_of(chunk.tag, printable) || chunk.size > chunks.in.left()) return std::nullopt;
    chunks.in.Seek(chunks.in.at() + std::min<uint64_t>(chunks.Padded(chunk.size), chunks.in.left()));
  }
  return chunks.in.left() < 2 ? std::optional(Bytes{}) : std::nullopt;
}

// What lies behind the samples that were promised: nothing, other chunks (some editors forget the padding
// before them) and perhaps another file, or zeros that fill a block of the disk. nullopt: more sound.
std::optional<Bytes> BehindSamples(Bytes behind, uint64_t padding, bool big_endian, bool wave64) {
  if (behind.size() <= padding) return Bytes{};
  for (const uint64_t begin : {uint64_t{0}, padding}) {
    if (const auto file = BehindChunks(behind.subspan(begin), big_endian, wave64)) return file;
  }
  const bool zeros = std::ranges::all_of(behind, [](uint8_t byte) { return byte == 0; });
  return zeros ? std::optional(Bytes{}) : std::nullopt;
}

}  // namespace

struct WavReader::Format {
  uint16_t tag = 0, channels = 0, frame_bytes = 0, bits = 0, valid_bits = 0;
  uint32_t rate = 0;
  bool little_endian = false;  // AIFF only

  static Result<Format> ReadAiff(Bytes chunk, bool named);
  static Result<Format> Read(Bytes chunk, bool big_endian) {
    ByteReader in(chunk, 0, big_endian);
    Format format;
    format.tag = in.U16();
    format.channels = in.U16();
    format.rate = in.U32();
    in.Take(4);  // bytes a second: follow from the rest
    format.frame_bytes = in.U16();
    format.bits = in.U16();
    if (in.ended()) return NoSamples("ends inside its format (\"fmt \" chunk)");
    if (format.tag == kExtensible) {
      in.Seek(18);
      format.valid_bits = in.U16();
      in.Seek(24);
      format.tag = in.U16();
      if (in.ended()) return NoSamples("has an extensible format without a sub-format");
    }
    if (format.valid_bits == 0) format.valid_bits = format.bits;
    return format;
  }
};

// AIFF tells the same in another order, and names its kinds of samples.
Result<WavReader::Format> WavReader::Format::ReadAiff(Bytes chunk, bool named) {
  struct Named {
    std::string_view name;
    uint16_t tag;
    bool little_endian;
  };
  constexpr Named kNamed[] = {
      {"NONE", kPcm, false},     {"twos", kPcm, false},     {"sowt", kPcm, true},
      {"in24", kPcm, false},     {"in32", kPcm, false},     {"fl32", kFloat, false},
      {"FL32", kFloat, false},   {"fl64", kFloat, false},   {"FL64", kFloat, false},
      {"alaw", kALawTag, false}, {"ALAW", kALawTag, false}, {"ulaw", kMuLawTag, false},
      {"ULAW", kMuLawTag, false}};
  ByteReader in(chunk, 0, true);
  Format format;
  format.channels = in.U16();
  in.U32();  // frames: follow from what is there
  format.bits = format.valid_bits = in.U16();
  // An extended float of ten bytes: a sign, an exponent, a mantissa of 64 bits.
  const int exponent = (in.U16() & 0x7fff) - 16383 - 63;
  const uint64_t high = in.U32(), mantissa = high << 32 | in.U32();
  const double rate = std::ldexp(static_cast<double>(mantissa), exponent);
  format.rate = rate >= 0.5 && rate < 4e9 ? static_cast<uint32_t>(std::lround(rate)) : 0;
  if (in.ended()) return NoSamples("ends inside its format (\"COMM\" chunk)");
  const auto name = in.Take(named ? 4 : 0);
  const auto* found =
      named ? std::ranges::find_if(kNamed, [&](const Named& kind) { return Is(name, kind.name); }) : kNamed;
  if (found == std::end(kNamed)) {
    return Fail(ErrorCode::kUnsupported, "an AIFF file with compressed samples", "convert it to 16-bit PCM");
  }
  format.tag = found->tag;
  if (format.tag == kALawTag || format.tag == kMuLawTag) format.bits = format.valid_bits = 8;  // some say 16
  format.little_endian = found->little_endian;
  return format;
}

Status WavReader::TakeFormat(Bytes chunk) {
  LINNET_ASSIGN(const Format format,
                aiff_ ? Format::ReadAiff(chunk, compressed_) : Format::Read(chunk, big_endian_));
  if (aiff_) big_endian_ = !format.little_endian;
  return Take(format);
}

Status WavReader::Take(const Format& format) {
  const bool known =
      format.tag == kPcm || format.tag == kFloat || format.tag == kALawTag || format.tag == kMuLawTag;
  if (!known || format.bits == 0) {
    return Fail(ErrorCode::kUnsupported,
                fmt::format("a WAV file with format {} of {} bits", format.tag, format.bits),
                "convert it to 16-bit PCM");
  }
  channels_ = format.channels;
  rate_ = format.rate;
  if (channels_ == 0 || rate_ == 0)
    return Contradiction(fmt::format("{} channels at {} Hz", channels_, rate_));
  // What a frame takes decides; where it is not said, the bits do.
  const size_t least = (format.bits + 7u) / 8;
  sample_bytes_ = format.frame_bytes == 0 ? least : format.frame_bytes / format.channels;
  if (format.frame_bytes % format.channels != 0 || sample_bytes_ < least ||
      format.valid_bits > 8 * sample_bytes_) {
    return Contradiction(fmt::format("frames of {} bytes for {} channel{} of {} bits", format.frame_bytes,
                                     channels_, channels_ == 1 ? "" : "s",
                                     std::max(format.bits, format.valid_bits)));
  }
  std::optional<Kind> kind;
  constexpr std::array<Kind, 4> kPcmKinds = {Kind::kU8, Kind::kS16, Kind::kS24, Kind::kS32};
  if (format.tag == kPcm && sample_bytes_ <= 4) kind = kPcmKinds[sample_bytes_ - 1];
  if (aiff_ && kind == Kind::kU8) kind = Kind::kS8;
  if (format.tag == kFloat && format.bits == 32 && sample_bytes_ == 4) kind = Kind::kF32;
  if (format.tag == kFloat && format.bits == 64 && sample_bytes_ == 8) kind = Kind::kF64;
  if (format.tag == kALawTag && sample_bytes_ == 1) kind = Kind::kALaw;
  if (format.tag == kMuLawTag && sample_bytes_ == 1) kind = Kind::kMuLaw;
  if (!kind) {
    return Fail(ErrorCode::kBadFile,
                fmt::format("a WAV file with format {} of {} bits in {} bytes", format.tag, format.bits,
                            sample_bytes_),
                "convert it to 16-bit PCM");
  }
  kind_ = *kind;
  unused_bits_ = 0;  // there may be a second format
  if (format.tag == kPcm && sample_bytes_ > 1) {
    unused_bits_ = static_cast<int>(8 * sample_bytes_) - std::min(format.bits, format.valid_bits);
  }
  return {};
}

// A recorder that was stopped before it could write the sizes leaves 0, the largest number, what it had
// planned, or what was there when it last looked. What is behind the samples may be other chunks; all else is
// sound.
void WavReader::TakeData(Bytes behind, uint64_t size, uint64_t padded) {
  const auto file = size > behind.size()
                        ? std::nullopt
                        : BehindSamples(behind.subspan(size), padded - size, big_sizes_, wave64_);
  unfinished_ = !file;
  behind_ = file.value_or(Bytes{});
  Bytes there = unfinished_ ? behind : behind.first(size);
  if (aiff_) {  // where the samples begin, and the size of their blocks
    constexpr size_t kHead = 8;
    ByteReader in(there, 0, true);
    there = there.subspan(std::min<size_t>(there.size(), kHead + in.U32()));
  }
  const size_t frame = static_cast<size_t>(channels_) * sample_bytes_;
  frames_ = static_cast<int64_t>(there.size() / frame);
  data_ = there.first(there.size() / frame * frame);
  mixer_ = media_internal::ChannelMixer(channels_, rate_);
  shift_ = unused_bits_ > 0 && LiesLow() ? unused_bits_ : 0;
}

bool WavReader::Recognises(Bytes bytes) {
  if (bytes.size() < 12) return false;
  const auto tag = bytes.first(4), kind = bytes.subspan(8, 4);
  if (Is(tag, "RIFF") || Is(tag, "RIFX") || Is(tag, "RF64") || Is(tag, "BW64")) return Is(kind, "WAVE");
  if (Is(tag, "FORM")) return Is(kind, "AIFF") || Is(kind, "AIFC");
  return bytes.size() >= 40 && Is(bytes.first(8), kWave64) && Is(bytes.subspan(24, 4), "wave");
}

Result<WavReader> WavReader::Open(Bytes bytes) {
  if (!Recognises(bytes)) return Fail(ErrorCode::kBadFile, "is not a WAV file", "give a WAV file");
  WavReader reader;
  reader.aiff_ = Is(bytes.first(4), "FORM");
  reader.compressed_ = Is(bytes.subspan(8, 4), "AIFC");
  reader.big_sizes_ = reader.big_endian_ = reader.aiff_ || Is(bytes.first(4), "RIFX");
  reader.wave64_ = Is(bytes.first(4), "riff");
  const bool large = Is(bytes.first(4), "RF64") || Is(bytes.first(4), "BW64");
  Chunks chunks{ByteReader(bytes, reader.wave64_ ? 40 : 12, reader.big_sizes_), reader.wave64_};
  Chunks::Chunk chunk;
  uint64_t large_size = 0;
  while (chunks.Next(chunk)) {
    const size_t start = chunks.in.at();
    if (Is(chunk.tag, reader.aiff_ ? "SSND" : "data")) {
      if (reader.channels_ == 0) return NoSamples("has samples but no format before them");
      const uint64_t size = large && chunk.size == kUnknownSize ? large_size : chunk.size;
      reader.TakeData(bytes.subspan(start), size, chunks.Padded(size));
      return reader;
    }
    const auto content = chunks.in.Take(chunk.size);
    if (Is(chunk.tag, reader.aiff_ ? "COMM" : "fmt ")) LINNET_TRY(reader.TakeFormat(content));
    if (Is(chunk.tag, "ds64") && content.size() >= 16) {
      ByteReader sizes(content, 8);
      large_size = sizes.U32();
      large_size |= static_cast<uint64_t>(sizes.U32()) << 32;
    }
    if (content.size() < chunk.size) break;
    chunks.in.Seek(start + chunks.Padded(chunk.size));
  }
  return NoSamples(reader.channels_ == 0 ? "ends before its format" : "has no samples (\"data\" chunk)");
}

uint64_t WavReader::Bits(const uint8_t* at, size_t count) const {
  uint64_t value = 0;
  for (size_t i = 0; i < count; ++i) value = value << 8 | at[big_endian_ ? i : count - 1 - i];
  return value;
}

// Samples narrower than their bytes belong at the top; some recorders write them at the bottom, with the sign
// or nothing above. Then no sample anywhere has other bits there.
bool WavReader::LiesLow() const {
  constexpr size_t kMostLooked = 1 << 20;
  const size_t samples = data_.size() / sample_bytes_, step = samples / kMostLooked + 1;
  const int used = static_cast<int>(8 * sample_bytes_) - unused_bits_;
  for (size_t i = 0; i < samples; i += step) {
    const uint64_t bits = Bits(data_.data() + i * sample_bytes_, sample_bytes_);
    const uint64_t above = bits >> used;
    const bool negative = (bits >> (used - 1) & 1) != 0;
    if (above != 0 && !(negative && above == (uint64_t{1} << unused_bits_) - 1)) return false;
  }
  return true;
}

float WavReader::Sample(const uint8_t* at) const {
  switch (kind_) {
    case Kind::kU8:
      return static_cast<float>(at[0] - 128) / 128.0f;
    case Kind::kS8:
      return static_cast<float>(static_cast<int8_t>(at[0])) / 128.0f;
    case Kind::kS16:
      return static_cast<float>(static_cast<int16_t>(Bits(at, 2) << shift_)) / 32768.0f;
    case Kind::kS24:
      return static_cast<float>(static_cast<int32_t>(static_cast<uint32_t>(Bits(at, 3) << (8 + shift_))) >>
                                8) /
             8388608.0f;
    case Kind::kS32:
      return static_cast<float>(static_cast<int32_t>(static_cast<uint32_t>(Bits(at, 4) << shift_))) /
             2147483648.0f;
    case Kind::kF32:
      return std::bit_cast<float>(static_cast<uint32_t>(Bits(at, 4)));
    case Kind::kF64:
      return static_cast<float>(std::bit_cast<double>(Bits(at, 8)));
    case Kind::kALaw:
      return ALaw(at[0]);
    case Kind::kMuLaw:
      return MuLaw(at[0]);
  }
  return 0.0f;
}

void WavReader::Refill() {
  const auto end = std::min(frames_, next_ + static_cast<int64_t>(kFramesAtOnce));
  std::vector<float> frame(static_cast<size_t>(channels_));
  const uint8_t* at = data_.data() + static_cast<size_t>(next_) * frame.size() * sample_bytes_;
  for (; next_ < end; ++next_) {
    for (float& value : frame) {
      value = Sample(at);
      at += sample_bytes_;
    }
    mixer_.Add(frame, queue_.ready);
  }
  if (next_ < frames_) return;
  mixer_.Finish(queue_.ready);
  queue_.ended = true;
}

size_t WavReader::Read(std::span<float> out) {
  const auto count = queue_.Read(out, [this]() -> Status {
    Refill();
    return {};
  });
  return count.value_or(0);
}

}  // namespace linnet
