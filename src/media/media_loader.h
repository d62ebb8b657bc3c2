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
#include "media/picture.h"
#include "media/video_clip.h"

namespace linnet {

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

// A path, `-` for standard input, a `file:` address or a `data:` address in base64. What can be read once
// only (a pipe, a FIFO) is read here. Errors: kInvalidArgument; those of SpooledFile.
Result<MediaSource> ParseMediaAddress(std::string_view text);

struct LoaderOptions {
  bool sandbox = true;           // false: decode in this process
  std::filesystem::path helper;  // empty = LINNET_MEDIA_HELPER, else `linnet-media` beside the program
  double patience_seconds = 30;  // without a sign from the helper; four times that for videos
};

class MediaLoader {
 public:
  explicit MediaLoader(const LoaderOptions& options = {});

  // Errors as of LoadPicture; kBadFile also when the decoder died or hung.
  Result<Picture> LoadPicture(const MediaSource& source, const PictureOptions& options = {}) const;
  Result<AudioReader> OpenAudio(const MediaSource& source) const;
  Result<AudioClip> LoadAudio(const MediaSource& source, double max_seconds = 3600.0) const;
  Result<VideoClip> LoadVideo(const MediaSource& source, const VideoOptions& options = {}) const;

  // A program of others that reads the source as its standard input, without more rights than
  // EnterProgramSandbox leaves it. Errors: kNotFound and kBadFile for the source, kInternal.
  Result<ChildProcess> StartProgram(const std::filesystem::path& program,
                                    const std::vector<std::string>& arguments, const MediaSource& source,
                                    double patience_seconds) const;

  // Empty when the helper is used with all its protections; else one line on what is missing. What the system
  // grants is known after the first medium.
  std::string Weakness() const;

 private:
  std::filesystem::path helper_;  // empty: decode in this process
  double patience_;
  std::string missing_;
  std::shared_ptr<int> granted_;  // flags of the helper's greeting, -1 before it
};

}  // namespace linnet
