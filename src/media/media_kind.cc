#include "media/media_kind.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace linnet {
namespace {

using namespace std::string_view_literals;

struct Magic {
  size_t at;
  std::string_view bytes;
  MediaFormat format;
};

constexpr Magic kMagics[] = {
    {0, "\x89PNG\r\n\x1a\n"sv, {MediaKind::kPicture, "a PNG picture"}},
    {0, "\xff\xd8\xff"sv, {MediaKind::kPicture, "a JPEG picture"}},
    {8, "WEBP"sv, {MediaKind::kPicture, "a WebP picture"}},
    {0, "GIF87a"sv, {MediaKind::kPicture, "a GIF picture"}},
    {0, "GIF89a"sv, {MediaKind::kPicture, "a GIF picture"}},
    {0, "II*\0"sv, {MediaKind::kPicture, "a TIFF picture"}},
    {0, "MM\0*"sv, {MediaKind::kPicture, "a TIFF picture"}},
    {0, "II+\0"sv, {MediaKind::kPicture, "a TIFF picture"}},
    {0, "MM\0+"sv, {MediaKind::kPicture, "a TIFF picture"}},
    {8, "WAVE"sv, {MediaKind::kSound, "a WAV sound"}},
    {0, "fLaC"sv, {MediaKind::kSound, "a FLAC sound"}},
    {0, "ID3"sv, {MediaKind::kSound, "an MP3 sound"}},
    {0, "OggS"sv, {MediaKind::kSound, "an Ogg sound"}},
    {8, "AIFF"sv, {MediaKind::kSound, "an AIFF sound"}},
    {8, "AIFC"sv, {MediaKind::kSound, "an AIFF sound"}},
    {0, "caff"sv, {MediaKind::kSound, "a CAF sound"}},
    {0, ".snd"sv, {MediaKind::kSound, "a Sun AU sound"}},
    {0, "riff\x2e\x91\xcf\x11"sv, {MediaKind::kSound, "a Wave64 sound"}},
    {0, "#!AMR"sv, {MediaKind::kSound, "an AMR sound"}},
    {4, "ftypM4A"sv, {MediaKind::kSound, "an M4A sound"}},
    {4, "ftypM4B"sv, {MediaKind::kSound, "an M4A sound"}},
    {4, "ftypcrx"sv, {MediaKind::kUnknown, "a raw photograph (CR3)"}},
    {4, "ftypqt"sv, {MediaKind::kVideo, "a QuickTime film"}},
    {4, "ftyp"sv, {MediaKind::kVideo, "an MP4 film"}},
    {4, "moov"sv, {MediaKind::kVideo, "a QuickTime film"}},
    {0, "\x1a\x45\xdf\xa3"sv, {MediaKind::kVideo, "a Matroska or WebM film"}},
    {8, "AVI "sv, {MediaKind::kVideo, "an AVI film"}},
    {0, "FLV\x01"sv, {MediaKind::kVideo, "an FLV film"}},
    {0, "\0\0\x01\xba"sv, {MediaKind::kVideo, "an MPEG film"}},
    {0, "\x30\x26\xb2\x75\x8e\x66\xcf\x11"sv, {MediaKind::kVideo, "a Windows Media film (ASF)"}},
    // What people give and Linnet does not read.
    {0, "version https://git-lfs"sv, {MediaKind::kUnknown, "a Git LFS pointer (git lfs pull gets the file)"}},
    {0, "\xff\x0a"sv, {MediaKind::kUnknown, "a JPEG XL picture"}},
    {4, "JXL \r\n\x87\n"sv, {MediaKind::kUnknown, "a JPEG XL picture"}},
    {4, "jP  \r\n\x87\n"sv, {MediaKind::kUnknown, "a JPEG 2000 picture"}},
    {0, "\xff\x4f\xff\x51"sv, {MediaKind::kUnknown, "a JPEG 2000 picture"}},
    {0, "8BPS"sv, {MediaKind::kUnknown, "a Photoshop picture"}},
    {0, "\0\0\x01\0"sv, {MediaKind::kUnknown, "a Windows icon"}},
    {0, "DDS "sv, {MediaKind::kUnknown, "a DDS texture"}},
    {0, "v/1\x01"sv, {MediaKind::kUnknown, "an OpenEXR picture"}},
    {0, "<svg"sv, {MediaKind::kUnknown, "an SVG drawing"}},
    {0, "<?xml"sv, {MediaKind::kUnknown, "an XML or SVG file"}},
    {0, "<!DOCTYPE"sv, {MediaKind::kUnknown, "a web page"}},
    {0, "<!doctype"sv, {MediaKind::kUnknown, "a web page"}},
    {0, "<html"sv, {MediaKind::kUnknown, "a web page"}},
    {0, "RIFF"sv, {MediaKind::kUnknown, "a RIFF file of an unknown kind"}},
    {0, "PK\x03\x04"sv, {MediaKind::kUnknown, "a ZIP archive or an office document"}},
    {0, "\x1f\x8b"sv, {MediaKind::kUnknown, "a gzip archive"}},
    {0, "\xd0\xcf\x11\xe0"sv, {MediaKind::kUnknown, "an old office document"}},
    {0, ".RMF"sv, {MediaKind::kUnknown, "a RealMedia film"}},
    {0, "MThd"sv, {MediaKind::kUnknown, "a MIDI file (notes, no sound)"}},
    {0, "GGUF"sv, {MediaKind::kUnknown, "a model (GGUF)"}},
    {0, "\x7f\x45LF"sv, {MediaKind::kUnknown, "a program"}},
    {0, "BM"sv, {MediaKind::kPicture, "a BMP picture"}},
};

// PDF readers look for the mark in the first kilobyte: mail programs and printers put lines before it.
constexpr size_t kPdfSearch = 1024;

bool Has(std::span<const uint8_t> bytes, size_t at, std::string_view magic) {
  return bytes.size() >= at && bytes.size() - at >= magic.size() &&
         std::memcmp(bytes.data() + at, magic.data(), magic.size()) == 0;
}

std::string_view Text(std::span<const uint8_t> bytes, size_t most) {
  return {reinterpret_cast<const char*>(bytes.data()), std::min(bytes.size(), most)};
}

uint64_t BigEndian(std::span<const uint8_t> bytes, size_t at, size_t count) {
  uint64_t value = 0;
  for (size_t i = 0; i < count; ++i) value = value << 8 | (at + i < bytes.size() ? bytes[at + i] : 0);
  return value;
}

// The pictures' brands of an MP4-like file; empty for another file.
std::string_view HeifName(std::span<const uint8_t> start) {
  if (!Has(start, 4, "ftyp")) return {};
  constexpr std::array kHevc = {"heic"sv, "heix"sv, "heim"sv, "heis"sv,
                                "hevc"sv, "hevx"sv, "hevm"sv, "hevs"sv};
  constexpr std::array kAny = {"mif1"sv, "mif2"sv, "msf1"sv, "miaf"sv, "avci"sv, "avcs"sv};
  constexpr size_t kMajor = 8, kOthers = 16, kMostBytes = 512;
  const auto one_of = [&](size_t at, std::span<const std::string_view> brands) {
    return std::any_of(brands.begin(), brands.end(), [&](std::string_view b) { return Has(start, at, b); });
  };
  const auto name = [&](size_t at) -> std::string_view {
    if (Has(start, at, "avif") || Has(start, at, "avis")) return "an AVIF picture";
    return one_of(at, kHevc) ? "a HEIC picture"sv : std::string_view();
  };
  if (!name(kMajor).empty() || !one_of(kMajor, kAny)) return name(kMajor);
  const size_t end = std::min<uint64_t>({BigEndian(start, 0, 4), start.size(), kMostBytes});
  for (size_t at = kOthers; at + 4 <= end; at += 4) {
    if (!name(at).empty()) return name(at);
  }
  return "a HEIF picture";
}

// The first pages of an Ogg file tell its tracks.
bool OggHasVideo(std::span<const uint8_t> start) {
  constexpr size_t kFirstPages = 4096;
  const std::string_view text = Text(start, kFirstPages);
  return text.starts_with("OggS"sv) && text.find("\x80theora"sv) != text.npos;
}

// Packets of 188 bytes that each begin with one sign.
bool IsTransportStream(std::span<const uint8_t> start) {
  constexpr size_t kPacket = 188;
  for (size_t packet = 0; packet < 3; ++packet) {
    if (start.size() <= packet * kPacket || start[packet * kPacket] != 0x47) return false;
  }
  return true;
}

// The box that lists the tracks, wherever it stands; empty when the file does not say.
std::string_view MovieBox(std::span<const uint8_t> file) {
  for (size_t at = 0; at + 16 <= file.size();) {
    uint64_t size = BigEndian(file, at, 4);
    if (size == 1) size = BigEndian(file, at + 8, 8);
    if (size == 0 || size > file.size() - at) size = file.size() - at;
    if (Has(file, at + 4, "moov")) return Text(file.subspan(at), size);
    if (size < 8) return {};
    at += size;
  }
  return {};
}

// Of a container that may hold both: its tracks are of sound alone.
bool HasSoundAlone(std::span<const uint8_t> file) {
  constexpr size_t kHead = 1 << 16;
  constexpr auto npos = std::string_view::npos;
  const std::string_view head = Text(file, kHead);
  if (head.starts_with("\x1a\x45\xdf\xa3"sv)) {
    // The element that names a track's coding: V_VP9, A_OPUS.
    bool sound = false;
    for (size_t at = head.find('\x86'); at != npos; at = head.find('\x86', at + 1)) {
      const std::string_view name = head.substr(at + 1).substr(0, 3);
      if (name.ends_with("V_"sv)) return false;
      sound = sound || name.ends_with("A_"sv);
    }
    return sound;
  }
  if (head.starts_with("\x30\x26\xb2\x75"sv)) {  // ASF names the kind of a stream by 16 bytes
    return head.find("\xc0\xef\x19\xbc\x4d\x5b\xcf\x11\xa8\xfd\0\x80\x5f\x5c\x44\x2b"sv) == npos &&
           head.find("\x40\x9e\x69\xf8\x4d\x5b\xcf\x11\xa8\xfd\0\x80\x5f\x5c\x44\x2b"sv) != npos;
  }
  if (head.starts_with("FLV\x01"sv)) return head.size() > 4 && (head[4] & 1) == 0 && (head[4] & 4) != 0;
  const std::string_view movie = MovieBox(file);
  bool sound = false;
  for (size_t at = movie.find("hdlr"sv); at != npos; at = movie.find("hdlr"sv, at + 4)) {
    const std::string_view handler = movie.substr(at).substr(0, 16);
    if (handler.ends_with("vide"sv)) return false;
    sound = sound || handler.ends_with("soun"sv);
  }
  return sound;
}

// A frame's head in MPEG layers II and III, or AAC's. (Layer I is not read, and UTF-16 text looks like it.)
bool IsBareFrames(std::span<const uint8_t> start) {
  if (start.size() < 3 || start[0] != 0xff) return false;
  const int layer = start[1] >> 1 & 3, version = start[1] >> 3 & 3;
  if ((start[1] & 0xf0) == 0xf0 && layer == 0) return (start[2] >> 2 & 15) < 13;  // AAC's rates
  const bool frame = (start[1] & 0xe0) == 0xe0 && version != 1 && (layer == 1 || layer == 2);
  return frame && start[2] >> 4 != 15 && (start[2] >> 2 & 3) != 3;
}

}  // namespace

bool IsHeif(std::span<const uint8_t> start) { return !HeifName(start).empty(); }

MediaFormat RecogniseMedia(std::span<const uint8_t> start) {
  if (OggHasVideo(start)) return {MediaKind::kVideo, "an Ogg film"};
  if (IsTransportStream(start)) return {MediaKind::kVideo, "an MPEG transport stream"};
  if (const std::string_view heif = HeifName(start); !heif.empty()) return {MediaKind::kPicture, heif};
  MediaFormat found;
  for (const Magic& magic : kMagics) {
    if (!Has(start, magic.at, magic.bytes)) continue;
    found = magic.format;
    break;
  }
  if (found.name.empty() && IsBareFrames(start)) return {MediaKind::kSound, "an MP3 or AAC sound"};
  if (found.kind == MediaKind::kVideo && HasSoundAlone(start))
    return {MediaKind::kSound, "a sound without video"};
  if (found.kind == MediaKind::kUnknown &&
      Text(start, kPdfSearch + 4).find("%PDF-"sv) != std::string_view::npos) {
    return {MediaKind::kPdf, "a PDF document"};
  }
  return found;
}

}  // namespace linnet
