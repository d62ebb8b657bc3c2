// What a file is by its first bytes, where a person does not say and where it turns out to be something else.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace linnet {

enum class MediaKind { kUnknown, kPicture, kPdf, kSound, kVideo };

struct MediaFormat {
  MediaKind kind = MediaKind::kUnknown;
  std::string_view name;  // with its article, "a PNG picture"; of some unknown kinds too; else empty
};

// Containers that hold both (MP4, WebM, ASF …) count as sound when their list of tracks has sound and no
// video. `start`: the more of the file the better; 4 KB tell most.
MediaFormat RecogniseMedia(std::span<const uint8_t> start);

// An MP4-like file that holds pictures: HEIC, AVIF and their relatives.
bool IsHeif(std::span<const uint8_t> start);

}  // namespace linnet
