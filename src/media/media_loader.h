// Loads pictures, sounds and videos of strangers through a helper process that may neither open files nor run
// long nor take much memory (linnet/media.h). Same results as LoadPicture, LoadAudio and DecodeVideo, byte
// for byte.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/child_process.h"
#include "base/spooled_file.h"
#include "linnet/error.h"
#include "linnet/media.h"
#include "media/audio.h"
#include "media/picture.h"
#include "media/video_clip.h"

namespace linnet {
namespace media_internal {
class Helper;
}

struct LINNET_HIDDEN MediaLoader::Impl {
  explicit Impl(const LoaderOptions& options);

  // Errors of all: see MediaLoader::LoadPicture.
  Result<Picture> LoadPicture(const MediaSource& source, const PictureOptions& options = {}) const;
  Result<AudioReader> OpenAudio(const MediaSource& source) const;
  Result<AudioClip> LoadAudio(const MediaSource& source, double max_seconds = 3600.0) const;
  Result<VideoClip> LoadVideo(const MediaSource& source, const VideoOptions& options = {}) const;

  // A program of others that reads the source as its standard input, without more rights than
  // EnterProgramSandbox leaves it. Errors: kNotFound and kBadFile for the source, kInternal; as above.
  Result<ChildProcess> StartProgram(const std::filesystem::path& program,
                                    const std::vector<std::string>& arguments, const MediaSource& source,
                                    double patience_seconds) const;

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
