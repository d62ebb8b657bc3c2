// Private to src/media: what the outer shape of a file says, without decoding it. Reads nothing beyond the
// bytes, whatever sizes they claim.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace linnet::media_internal {

// Whether the file promises more than it holds: its last box, element, chunk or page is longer than what is
// there. Knows MP4, Matroska and WebM, Ogg, RIFF (AVI, WAV), AIFF, CAF, AU, FLV and transport streams; false
// for all else.
bool EndsEarly(std::span<const uint8_t> bytes);

// Whether this is an MP4 file that was never finished: without the index that a recorder writes last.
bool LacksIndex(std::span<const uint8_t> bytes);

bool IsTransportStream(std::span<const uint8_t> bytes);
bool IsOgg(std::span<const uint8_t> bytes);
// Ogg files may be chained: one stream ends and the next, of another kind perhaps, begins. Where the first
// one ends; the size of the file when there is one only.
size_t FirstLinkOfOgg(std::span<const uint8_t> bytes);

inline constexpr const char* kUnfinishedNote =
    "the recording was not finished or the file was cut off: all that is there is used";

}  // namespace linnet::media_internal
