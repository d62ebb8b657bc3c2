#include "media/links.h"

#include <cstring>
#include <map>
#include <optional>
#include <string_view>

#include "media/container.h"

namespace linnet::media_internal {
namespace {

using namespace std::string_view_literals;
using Bytes = std::span<const uint8_t>;

std::string_view Text(Bytes bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

// "fLaC" and the block that stands first: of 34 bytes, with blocks of 16 samples or more and a rate.
size_t FirstLinkOfFlac(Bytes bytes) {
  constexpr size_t kHead = 8, kBlock = 34;
  const std::string_view text = Text(bytes);
  for (size_t at = text.find("fLaC", 1); at != text.npos; at = text.find("fLaC", at + 1)) {
    if (bytes.size() - at < kHead + kBlock) break;
    const uint8_t* head = &bytes[at + 4];
    const uint8_t* block = head + 4;
    const bool first = (head[0] & 0x7f) == 0 && head[1] == 0 && head[2] == 0 && head[3] == kBlock;
    const bool samples = block[0] != 0 || block[1] >= 16;
    const bool rate = (block[10] | block[11] | (block[12] & 0xf0)) != 0;
    if (first && samples && rate) return at;
  }
  return bytes.size();
}

constexpr int64_t kTicks = 90'000;  // a second

// The clock of an MPEG stream. Damage may change a single value: a clock has gone back when it was steady
// before and goes on behind that.
class Clock {
 public:
  // `at`: where the value stands, or what begins with it. Gives the place where the clock began anew.
  std::optional<size_t> Tell(int64_t ticks, size_t at) {
    if (pending_ && Follows(ticks, pending_->ticks)) return pending_->at;
    pending_.reset();
    if (last_ && steady_ && WentBack(ticks)) {
      pending_ = Pending{ticks, at};
      return std::nullopt;  // until the next one tells
    }
    steady_ = !last_ || Follows(ticks, *last_);
    last_ = ticks;
    return std::nullopt;
  }

 private:
  struct Pending {
    int64_t ticks;
    size_t at;
  };
  static bool Follows(int64_t ticks, int64_t earlier) {
    return ticks >= earlier && ticks - earlier <= 10 * kTicks;
  }
  // Not by a little, as where packets changed places, nor by all, where the counter of 33 bits began anew.
  bool WentBack(int64_t ticks) const {
    const int64_t back = *last_ - ticks;
    return back > 3 * kTicks / 10 && back < (int64_t{1} << 33) - 60 * kTicks;
  }

  std::optional<int64_t> last_;
  std::optional<Pending> pending_;
  bool steady_ = true;
};

constexpr size_t kPacket = 188;

// The clock of a packet (program clock reference), if it has one.
std::optional<int64_t> ClockOf(const uint8_t* packet) {
  const bool there = (packet[3] & 0x20) != 0 && packet[4] >= 7 && (packet[5] & 0x10) != 0;
  if (!there) return std::nullopt;
  int64_t value = 0;
  for (size_t i = 6; i < 10; ++i) value = value << 8 | packet[i];
  return value << 1 | packet[10] >> 7;
}

size_t FirstLinkOfTransportStream(Bytes bytes) {
  constexpr size_t kMostClocks = 64;
  std::map<int, Clock> clocks;  // of each program
  std::optional<size_t> table;  // of programs, since the last clock: a file begins with it
  for (size_t at = 0; bytes.size() - at >= kPacket;) {
    const uint8_t* packet = &bytes[at];
    const bool in_step = at + kPacket == bytes.size() || packet[kPacket] == 0x47;
    if (packet[0] != 0x47 || !in_step) {  // a part that was cut, or other bytes
      ++at;
      continue;
    }
    const int id = (packet[1] & 0x1f) << 8 | packet[2];
    if (id == 0 && !table) table = at;
    if (const auto ticks = ClockOf(packet); ticks && (clocks.size() < kMostClocks || clocks.contains(id))) {
      if (const auto link = clocks[id].Tell(*ticks, table.value_or(at))) return *link;
      table.reset();
    }
    at += kPacket;
  }
  return bytes.size();
}

// The clock of a pack of MPEG-2 or MPEG-1, if that is one.
std::optional<int64_t> ClockOfPack(const uint8_t* pack) {
  const int64_t b[5] = {pack[4], pack[5], pack[6], pack[7], pack[8]};
  if ((b[0] & 0xc4) == 0x44) {
    return (b[0] & 0x38) << 27 | (b[0] & 3) << 28 | b[1] << 20 | (b[2] & 0xf8) << 12 | (b[2] & 3) << 13 |
           b[3] << 5 | b[4] >> 3;
  }
  if ((b[0] & 0xf1) == 0x21)
    return (b[0] & 0x0e) << 29 | b[1] << 22 | (b[2] & 0xfe) << 14 | b[3] << 7 | b[4] >> 1;
  return std::nullopt;
}

size_t FirstLinkOfProgramStream(Bytes bytes) {
  constexpr size_t kLeast = 12;
  const std::string_view text = Text(bytes), mark = "\0\0\x01\xba"sv;
  Clock clock;
  for (size_t at = 0; at != text.npos && bytes.size() - at >= kLeast; at = text.find(mark, at + 4)) {
    const auto ticks = ClockOfPack(&bytes[at]);
    if (!ticks) continue;
    if (const auto link = clock.Tell(*ticks, at)) return *link;
  }
  return bytes.size();
}

}  // namespace

size_t FirstLink(Bytes bytes) {
  const std::string_view text = Text(bytes);
  if (IsOgg(bytes)) return FirstLinkOfOgg(bytes);
  if (text.starts_with("fLaC")) return FirstLinkOfFlac(bytes);
  if (text.starts_with("\0\0\x01\xba"sv)) return FirstLinkOfProgramStream(bytes);
  if (IsTransportStream(bytes)) return FirstLinkOfTransportStream(bytes);
  return bytes.size();
}

}  // namespace linnet::media_internal
