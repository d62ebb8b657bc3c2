#include "media/exif.h"

#include <algorithm>
#include <array>

namespace linnet {
namespace {

constexpr uint16_t kOrientationTag = 0x0112;
constexpr uint16_t kByte = 1, kShort = 3, kLong = 4;
constexpr size_t kEntryBytes = 12;

// Reads past the end give 0: an absent field and a cut one mean the same here.
class Reader {
 public:
  Reader(std::span<const uint8_t> bytes, bool little) : bytes_(bytes), little_(little) {}

  uint16_t U16(size_t at) const {
    if (at > bytes_.size() || bytes_.size() - at < 2) return 0;
    const uint16_t a = bytes_[at], b = bytes_[at + 1];
    return static_cast<uint16_t>(little_ ? a | b << 8 : a << 8 | b);
  }
  uint32_t U32(size_t at) const {
    const uint32_t first = U16(at), second = U16(at + 2);
    return little_ ? first | second << 16 : first << 16 | second;
  }

 private:
  std::span<const uint8_t> bytes_;
  bool little_;
};

}  // namespace

int ExifOrientation(std::span<const uint8_t> exif) {
  constexpr std::array<uint8_t, 6> kPrefix = {'E', 'x', 'i', 'f', 0, 0};
  if (exif.size() >= kPrefix.size() && std::equal(kPrefix.begin(), kPrefix.end(), exif.begin())) {
    exif = exif.subspan(kPrefix.size());
  }
  if (exif.size() < 8) return 1;
  const bool little = exif[0] == 'I' && exif[1] == 'I';
  if (!little && !(exif[0] == 'M' && exif[1] == 'M')) return 1;
  const Reader reader(exif, little);
  if (reader.U16(2) != 42) return 1;
  const size_t directory = reader.U32(4);
  const size_t entries = reader.U16(directory);
  for (size_t i = 0; i < entries; ++i) {
    const size_t entry = directory + 2 + i * kEntryBytes;
    if (entry > exif.size() || exif.size() - entry < kEntryBytes) return 1;
    if (reader.U16(entry) != kOrientationTag) continue;
    // The standard's type is a short; some programs write others.
    const uint16_t type = reader.U16(entry + 2);
    if (type != kByte && type != kShort && type != kLong) continue;
    const uint32_t value = type == kByte    ? exif[entry + 8]
                           : type == kShort ? reader.U16(entry + 8)
                                            : reader.U32(entry + 8);
    return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

}  // namespace linnet
