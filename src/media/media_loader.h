// Loads pictures, sounds and videos of strangers through a helper process that may neither open files nor run
// long nor take much memory: a decoder that crashes or hangs gives an error and nothing else. Same results as
// LoadPicture, AudioReader and LoadVideo, byte for byte.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/child_process.h"
#include "base/spooled_file.h"
#include "linnet/error.h"
#include "media/audio.h"
#include "media/media_kind.h"
#include "media/picture.h"
#include "media/video_clip.h"

namespace linnet {
namespace media_internal {
class Helper;
}

// Where a medium comes from: a file, bytes that are here already, or what came through a pipe, kept as a
// file.
struct MediaSource {
  MediaSource(std::filesystem::path path)
      : file(std::move(path)), name(file.string()) {}  // NOLINT: a path is one
  MediaSource(std::vector<uint8_t> content, std::string label)
      : bytes(std::move(content)), name(std::move(label)) {}
  MediaSource(std::string label, std::shared_ptr<const SpooledFile> stream)
      : file(stream->path()), name(std::move(label)), spooled(std::move(stream)) {}

  // What a file made from it is called after.
  std::string FileName() const;

  std::filesystem::path file;  // empty: `bytes`
  std::vector<uint8_t> bytes;
  std::string name;                            // for messages
  std::shared_ptr<const SpooledFile> spooled;  // what `file` opens, where it came through a pipe
};

// A path, `-` for standard input, a `file:` address or a `data:` address. What can be read once only (a pipe,
// a FIFO) is read here. Errors: kInvalidArgument, also for addresses of the network; those of SpooledFile.
Result<MediaSource> ParseMediaAddress(std::string_view text);

// Whether a word of a text is a `file:` or `data:` address.
bool IsMediaAddress(std::string_view text);

// What a message shows of a path or an address: never the content of a `data:` address.
std::string MediaLabel(std::string_view text);

// What it is by its content. Errors: kNotFound, kBadFile (not a readable file).
Result<MediaFormat> RecogniseMedia(const MediaSource& source);

struct LoaderOptions {
  bool sandbox = true;           // false: decode in this process, without any protection
  std::filesystem::path helper;  // empty = LINNET_MEDIA_HELPER, else `linnet-media` beside the program
  double patience_seconds = 30;  // without a sign from the helper; four times that for videos
};

// Safe to use from several threads.
class MediaLoader {
 public:
  // Starts the helper once, to see what the system grants it.
  explicit MediaLoader(const LoaderOptions& options = {});

  // Errors as of LoadPicture; kBadFile also when the decoder died or hung; kUnsupported where there is no
  // helper that works: media are not decoded without one unless the options say so.
  Result<Picture> LoadPicture(const MediaSource& source, const PictureOptions& options = {}) const;
  Result<AudioReader> OpenAudio(const MediaSource& source) const;
  Result<AudioClip> LoadAudio(const MediaSource& source, double max_seconds = 3600.0) const;
  Result<VideoClip> LoadVideo(const MediaSource& source, const VideoOptions& options = {}) const;

  // A program of others that reads the source as its standard input, without more rights than
  // EnterProgramSandbox leaves it. Errors: kNotFound and kBadFile for the source, kInternal; as above.
  Result<ChildProcess> StartProgram(const std::filesystem::path& program,
                                    const std::vector<std::string>& arguments, const MediaSource& source,
                                    double patience_seconds) const;

  // Empty when media are decoded with all protections; else one line on what is missing, to be said before
  // the first of them is decoded.
  std::string Weakness() const;

 private:
  Result<media_internal::Helper> StartHelper(const std::vector<std::string>& arguments,
                                             const MediaSource& source, double patience) const;

  bool in_process_;
  std::filesystem::path helper_;
  double patience_;
  Status usable_;    // whether the helper is there and works
  int granted_ = 0;  // flags of its greeting
};

}  // namespace linnet
