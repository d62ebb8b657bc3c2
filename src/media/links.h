// Private to src/media: files that were put one behind the other (`cat a.ts b.ts`), each with a time of its
// own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace linnet::media_internal {

// Where the second of them begins: at a new head (Ogg, FLAC), or where the clock of an MPEG stream goes back.
// The size of all where there is no second.
size_t FirstLink(std::span<const uint8_t> bytes);

}  // namespace linnet::media_internal
