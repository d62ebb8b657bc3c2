#include "media/container.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <string_view>

namespace linnet::media_internal {
namespace {

using namespace std::string_view_literals;
using Bytes = std::span<const uint8_t>;

bool Has(Bytes bytes, size_t at, std::string_view text) {
  return at <= bytes.size() && bytes.size() - at >= text.size() &&
         std::memcmp(bytes.data() + at, text.data(), text.size()) == 0;
}

// `count` bytes from `at`, which must be there.
uint64_t Big(Bytes bytes, size_t at, size_t count) {
  uint64_t value = 0;
  for (size_t i = 0; i < count; ++i) value = value << 8 | bytes[at + i];
  return value;
}

uint64_t Little(Bytes bytes, size_t at, size_t count) {
  uint64_t value = 0;
  for (size_t i = count; i > 0; --i) value = value << 8 | bytes[at + i - 1];
  return value;
}

// --- MP4: boxes of a size and a name

constexpr std::string_view kFirstBoxes[] = {"ftyp", "moov", "mdat", "wide", "free",
                                            "skip", "moof", "styp", "pnot"};

bool IsMp4(Bytes bytes) {
  return std::ranges::any_of(kFirstBoxes, [&](std::string_view name) { return Has(bytes, 4, name); });
}

struct Boxes {
  bool index = false;  // there is one
  bool cut = false;    // the last box is longer than the file
};

Boxes WalkBoxes(Bytes bytes) {
  Boxes found;
  size_t at = 0;
  while (bytes.size() - at >= 8) {
    uint64_t size = Big(bytes, at, 4);
    if (Has(bytes, at + 4, "moov") || Has(bytes, at + 4, "moof")) found.index = true;
    if (size == 0) return found;  // up to the end
    if (size == 1 && bytes.size() - at >= 16) size = Big(bytes, at + 8, 8);
    if (size < 8) return found;  // no box
    if (size > bytes.size() - at) {
      found.cut = true;
      return found;
    }
    at += size;
  }
  return found;
}

// --- Matroska: elements of an identity, a size and a content

constexpr uint64_t kUnknown = ~uint64_t{0};
constexpr uint64_t kSegment = 0x18538067;

// A number whose first byte tells its length; `keep` leaves that mark in it. Moves `at` behind it.
std::optional<uint64_t> Number(Bytes bytes, size_t& at, bool keep) {
  if (at >= bytes.size() || bytes[at] == 0) return std::nullopt;
  size_t length = 1;
  while ((bytes[at] >> (8 - length)) == 0) ++length;
  if (bytes.size() - at < length) {
    at = bytes.size();
    return std::nullopt;
  }
  uint64_t value = Big(bytes, at, length);
  at += length;
  if (keep) return value;
  const uint64_t mask = (uint64_t{1} << (7 * length)) - 1;
  value &= mask;
  return value == mask ? kUnknown : value;
}

bool MatroskaEndsEarly(Bytes bytes) {
  size_t at = 0;
  while (at < bytes.size()) {
    const auto id = Number(bytes, at, true);
    if (!id) return at >= bytes.size();
    const auto size = Number(bytes, at, false);
    if (!size) return at >= bytes.size();
    if (*size == kUnknown) continue;  // its elements follow, as if they were not inside
    if (*size > bytes.size() - at) return true;
    if (*id == kSegment) return false;
    at += *size;
  }
  return false;
}

// --- Ogg: pages

constexpr size_t kPageHead = 27;
constexpr uint8_t kFirstPage = 2;

// The size of the page there, 0 if none begins there; larger than what is left when it is cut.
size_t PageSize(Bytes bytes, size_t at) {
  if (!Has(bytes, at, "OggS\0"sv)) return 0;
  if (bytes.size() - at < kPageHead) return kPageHead;
  const size_t lengths = bytes[at + 26];
  size_t size = kPageHead + lengths;
  if (bytes.size() - at < size) return size;
  for (size_t i = 0; i < lengths; ++i) size += bytes[at + kPageHead + i];
  return size;
}

size_t NextPage(Bytes bytes, size_t at) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const size_t found = text.find("OggS\0"sv, at);
  return found == text.npos ? bytes.size() : found;
}

bool OggEndsEarly(Bytes bytes) {
  for (size_t at = 0; at < bytes.size();) {
    const size_t size = PageSize(bytes, at);
    if (size > bytes.size() - at) return true;
    at = size > 0 ? at + size : NextPage(bytes, at + 1);
  }
  return false;
}

// --- RIFF, FORM, CAF: chunks

bool ChunksEndEarly(Bytes bytes) {
  const bool little = Has(bytes, 0, "RIFF");
  if (little || Has(bytes, 0, "RIFX") || Has(bytes, 0, "FORM")) {
    const uint64_t size = little ? Little(bytes, 4, 4) : Big(bytes, 4, 4);
    return size > bytes.size() - 8;
  }
  constexpr size_t kCafHead = 8, kCafChunk = 12;
  if (!Has(bytes, 0, "caff")) return false;
  for (size_t at = kCafHead; bytes.size() - at >= kCafChunk;) {
    const uint64_t size = Big(bytes, at + 4, 8);
    if (Has(bytes, at, "data") && size == kUnknown) return true;
    at += kCafChunk;
    if (size > bytes.size() - at) return true;
    at += size;
  }
  return false;
}

// --- AU, FLV and transport streams

// A recorder that was stopped leaves the size that it began with: none, or all ones for "not known".
bool AuEndsEarly(Bytes bytes) {
  const uint64_t start = Big(bytes, 4, 4), size = Big(bytes, 8, 4);
  return start > bytes.size() || size > bytes.size() - start || (size == 0 && start < bytes.size());
}

// Tags with a head of eleven bytes, each followed by its size.
bool FlvEndsEarly(Bytes bytes) {
  constexpr uint64_t kTagHead = 11, kSizeBehind = 4;
  uint64_t at = Big(bytes, 5, 4) + kSizeBehind;
  while (at < bytes.size()) {
    if (bytes.size() - at < kTagHead) return true;
    const uint64_t size = kTagHead + Big(bytes, at + 1, 3) + kSizeBehind;
    if (size > bytes.size() - at) return true;
    at += size;
  }
  return false;
}

constexpr size_t kTransportPacket = 188;

}  // namespace

bool EndsEarly(Bytes bytes) {
  if (bytes.size() < 12) return false;
  if (IsOgg(bytes)) return OggEndsEarly(bytes);
  if (Has(bytes, 0, "\x1a\x45\xdf\xa3")) return MatroskaEndsEarly(bytes);
  if (IsMp4(bytes)) return WalkBoxes(bytes).cut;
  if (Has(bytes, 0, ".snd")) return AuEndsEarly(bytes);
  if (Has(bytes, 0, "FLV")) return FlvEndsEarly(bytes);
  if (IsTransportStream(bytes)) return bytes.size() % kTransportPacket != 0;
  return ChunksEndEarly(bytes);
}

bool LacksIndex(Bytes bytes) { return bytes.size() >= 12 && IsMp4(bytes) && !WalkBoxes(bytes).index; }

bool IsTransportStream(Bytes bytes) {
  return Has(bytes, 0, "G") && Has(bytes, kTransportPacket, "G") && Has(bytes, 2 * kTransportPacket, "G");
}

bool IsOgg(Bytes bytes) { return Has(bytes, 0, "OggS"); }

size_t FirstLinkOfOgg(Bytes bytes) {
  bool in_head = true;  // the first pages of all streams stand together
  for (size_t at = 0; at < bytes.size();) {
    const size_t size = PageSize(bytes, at);
    if (size == 0 || size > bytes.size() - at) {
      at = NextPage(bytes, at + 1);
      continue;
    }
    const bool first = (bytes[at + 5] & kFirstPage) != 0;
    if (first && !in_head) return at;
    in_head = in_head && first;
    at += size;
  }
  return bytes.size();
}

}  // namespace linnet::media_internal
