#include "media/media_kind.h"

#include <algorithm>
#include <cstring>
#include <string_view>

#include "base/mapped_file.h"

namespace linnet {
namespace {

using namespace std::string_view_literals;

struct Magic {
  size_t at;
  std::string_view bytes;
  MediaKind kind;
};

constexpr Magic kMagics[] = {
    {0, "\x89PNG\r\n\x1a\n"sv, MediaKind::kPicture},
    {0, "\xff\xd8\xff"sv, MediaKind::kPicture},
    {8, "WEBP"sv, MediaKind::kPicture},
    {0, "GIF8"sv, MediaKind::kPicture},
    {0, "II*\0"sv, MediaKind::kPicture},
    {0, "MM\0*"sv, MediaKind::kPicture},
    {0, "II+\0"sv, MediaKind::kPicture},
    {0, "MM\0+"sv, MediaKind::kPicture},
    {8, "WAVE"sv, MediaKind::kSound},
    {0, "fLaC"sv, MediaKind::kSound},
    {0, "ID3"sv, MediaKind::kSound},
    {0, "OggS"sv, MediaKind::kSound},
    {0, "FORM"sv, MediaKind::kSound},
    {0, "caff"sv, MediaKind::kSound},
    {0, "riff\x2e\x91\xcf\x11"sv, MediaKind::kSound},  // Wave64
    {0, "#!AMR"sv, MediaKind::kSound},
    {4, "ftypM4A"sv, MediaKind::kSound},
    {4, "ftypM4B"sv, MediaKind::kSound},
    {4, "ftyp"sv, MediaKind::kVideo},
    {4, "moov"sv, MediaKind::kVideo},
    {0, "\x1a\x45\xdf\xa3"sv, MediaKind::kVideo},
    {8, "AVI "sv, MediaKind::kVideo},
    {0, "FLV\x01"sv, MediaKind::kVideo},
    {0, "\0\0\x01\xba"sv, MediaKind::kVideo},
    {0, "BM"sv, MediaKind::kPicture},
};

// The first pages of an Ogg file tell its tracks.
bool OggHasVideo(std::span<const uint8_t> start) {
  constexpr size_t kFirstPages = 4096;
  const std::string_view text(reinterpret_cast<const char*>(start.data()),
                              std::min(start.size(), kFirstPages));
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

}  // namespace

MediaKind GuessMediaKind(std::span<const uint8_t> start) {
  if (OggHasVideo(start) || IsTransportStream(start)) return MediaKind::kVideo;
  for (const Magic& magic : kMagics) {
    if (start.size() >= magic.at + magic.bytes.size() &&
        std::memcmp(start.data() + magic.at, magic.bytes.data(), magic.bytes.size()) == 0) {
      return magic.kind;
    }
  }
  // MPEG audio: eleven set bits, then a layer that exists. FF FE is the mark of a text in UTF-16; as sound it
  // would be layer I without a checksum, which nobody has.
  if (start.size() >= 2 && start[0] == 0xff && (start[1] & 0xe0) == 0xe0 && (start[1] & 0x06) != 0 &&
      start[1] != 0xfe)
    return MediaKind::kSound;
  return MediaKind::kUnknown;
}

Result<MediaKind> GuessMediaKind(const std::filesystem::path& path) {
  LINNET_ASSIGN(const MappedFile file, MappedFile::Open(path));
  return GuessMediaKind(file.bytes());
}

}  // namespace linnet
