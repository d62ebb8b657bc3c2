// Private to src/media: the messages between the decoder helper and the program that started it. Each is a
// kind, a length and a payload; the reader trusts none of it.
//
//   H  sandbox flags (u64), then per request:
//   P  picture: width, height, format, note, pixels
//   I  sound: format, rate, channels, frames, seconds, note; then again and again S samples at the file's
//   rate
//      and, where it changes, R the rate of those that follow; N note, replaced
//   V  video: format, fps, seconds, width, height, orientation, has_sound; F frame: seconds, width, height,
//      pixels; S samples at 16 kHz; N note, 0
//   E  error: code, what, hint
//   Z  the end
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace linnet::media_internal {

inline constexpr size_t kMessageHead = 9;              // kind, u64 length
inline constexpr uint64_t kMaxSmallMessage = 1 << 20;  // everything but pixels
inline constexpr size_t kMaxSamplesPerMessage = 1 << 16;
inline constexpr int kConverterNotStarted = 126;  // exit code, as a shell has it

class MessageWriter {
 public:
  explicit MessageWriter(char kind) : bytes_(kMessageHead) { bytes_[0] = static_cast<uint8_t>(kind); }
  MessageWriter& U64(uint64_t value) {
    for (int i = 0; i < 8; ++i) bytes_.push_back(static_cast<uint8_t>(value >> (8 * i)));
    return *this;
  }
  MessageWriter& I64(int64_t value) { return U64(static_cast<uint64_t>(value)); }
  MessageWriter& F64(double value) { return U64(std::bit_cast<uint64_t>(value)); }
  MessageWriter& Text(std::string_view text) {
    text = text.substr(0, kMaxSmallMessage / 4);
    U64(text.size());
    bytes_.insert(bytes_.end(), text.begin(), text.end());
    return *this;
  }
  MessageWriter& Raw(std::span<const uint8_t> raw) {
    bytes_.insert(bytes_.end(), raw.begin(), raw.end());
    return *this;
  }
  std::span<const uint8_t> Finish() {
    const uint64_t length = bytes_.size() - kMessageHead;
    for (size_t i = 0; i < 8; ++i) bytes_[1 + i] = static_cast<uint8_t>(length >> (8 * i));
    return bytes_;
  }

 private:
  std::vector<uint8_t> bytes_;
};

class MessageReader {
 public:
  explicit MessageReader(std::span<const uint8_t> payload) : left_(payload) {}

  uint64_t U64() {
    if (left_.size() < 8) {
      bad_ = true;
      left_ = {};
      return 0;
    }
    uint64_t value = 0;
    for (size_t i = 0; i < 8; ++i) value |= static_cast<uint64_t>(left_[i]) << (8 * i);
    left_ = left_.subspan(8);
    return value;
  }
  int64_t I64() { return static_cast<int64_t>(U64()); }
  double F64() { return std::bit_cast<double>(U64()); }
  std::string Text() {
    const uint64_t length = U64();
    if (length > left_.size()) {
      bad_ = true;
      return {};
    }
    std::string text(reinterpret_cast<const char*>(left_.data()), length);
    left_ = left_.subspan(length);
    return text;
  }
  std::span<const uint8_t> Rest() { return left_; }
  bool bad() const { return bad_; }  // something was read that is not there

 private:
  std::span<const uint8_t> left_;
  bool bad_ = false;
};

}  // namespace linnet::media_internal
