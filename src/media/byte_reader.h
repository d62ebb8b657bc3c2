// Private to src/media: reading of numbers, little-endian if not told otherwise, that cannot leave the file.
// Past the end everything reads as 0 and `ended()` stays true, so a parser checks once per step instead of
// once per byte.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

namespace linnet::media_internal {

class ByteReader {
 public:
  explicit ByteReader(std::span<const uint8_t> bytes, size_t at = 0, bool big_endian = false)
      : bytes_(bytes), at_(at), big_endian_(big_endian) {}

  uint8_t U8() {
    if (at_ >= bytes_.size()) {
      ended_ = true;
      return 0;
    }
    return bytes_[at_++];
  }
  uint16_t U16() {
    const uint16_t first = U8(), second = U8();
    return static_cast<uint16_t>(big_endian_ ? first << 8 | second : second << 8 | first);
  }
  uint32_t U32() {
    const uint32_t first = U16(), second = U16();
    return big_endian_ ? first << 16 | second : second << 16 | first;
  }
  // The next `count` bytes, fewer at the end of the file.
  std::span<const uint8_t> Take(size_t count) {
    const size_t there = std::min(count, left());
    if (there < count) ended_ = true;
    const auto taken = bytes_.subspan(std::min(at_, bytes_.size()), there);
    at_ += there;
    return taken;
  }
  void Seek(size_t at) { at_ = at; }

  size_t at() const { return at_; }
  size_t left() const { return at_ < bytes_.size() ? bytes_.size() - at_ : 0; }
  bool ended() const { return ended_; }  // something was read that is not there

 private:
  std::span<const uint8_t> bytes_;
  size_t at_;
  bool big_endian_;
  bool ended_ = false;
};

}  // namespace linnet::media_internal
