// Pictures, sounds and videos as people have them: where they come from, what they are, and how they are
// decoded without trusting them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "linnet/error.h"
#include "linnet/export.h"

namespace linnet {

class SpooledFile;

// A file, bytes that are here already, or what came through a pipe, kept as a file.
struct LINNET_API MediaSource {
  MediaSource(std::filesystem::path path);  // NOLINT: a path is one
  MediaSource(std::vector<uint8_t> content, std::string label);
  MediaSource(std::string label, std::shared_ptr<const SpooledFile> stream);

  // What a file made from it is called after.
  std::string FileName() const;

  std::filesystem::path file;  // empty: `bytes`
  std::vector<uint8_t> bytes;
  std::string name;                            // for messages
  std::shared_ptr<const SpooledFile> spooled;  // what `file` opens, where it came through a pipe
};

// A path, `-` for standard input, a `file:` address or a `data:` address. What can be read once only (a pipe,
// a FIFO) is read here. Errors: kInvalidArgument, also for addresses of the network; kBadFile for a stream
// that cannot be read, kCancelled after Ctrl-C.
LINNET_API Result<MediaSource> ParseMediaAddress(std::string_view text);

// Whether a word of a text is a `file:` or `data:` address.
LINNET_API bool IsMediaAddress(std::string_view text);

// What a message shows of a path or an address: never the content of a `data:` address.
LINNET_API std::string MediaLabel(std::string_view text);

enum class MediaKind { kUnknown, kPicture, kPdf, kSound, kVideo };

struct MediaFormat {
  MediaKind kind = MediaKind::kUnknown;
  std::string_view name;  // with its article, "a PNG picture"; of some unknown kinds too; else empty
};

// What it is by its content. Containers that hold both (MP4, WebM, ASF …) count as sound when their list of
// tracks has sound and no video. `start`: the more of the file the better; 4 KB tell most.
LINNET_API MediaFormat RecogniseMedia(std::span<const uint8_t> start);
// Errors: kNotFound, kBadFile (not a readable file).
LINNET_API Result<MediaFormat> RecogniseMedia(const MediaSource& source);

struct Picture {
  int64_t width = 0;
  int64_t height = 0;
  std::vector<uint8_t> rgb;  // (height, width, 3)
  std::string format;        // "PNG", "JPEG" …
  std::string note;          // what a person should know: damaged data, further frames; usually empty
};

inline constexpr int64_t kSampleRate = 16000;  // of all sound that the model hears, in one channel

struct AudioInfo {
  std::string format;    // "WAV", "FLAC" …
  int64_t rate = 0;      // Hz, of the file; of its beginning where it changes
  int64_t channels = 0;  // of the file; they are averaged
  int64_t frames = -1;   // at the file's rate; -1 = only known at the end
  double seconds = 0;    // length as far as the file says it; 0 = unknown
  std::string note;      // what a person should know: the file is cut off …; usually empty
};

struct AudioClip {
  AudioInfo info;
  std::vector<float> samples;  // 16 kHz mono; full scale is 1
};

// Sound of one channel at its own rate, for programs that have some which is in no file. Full scale is 1.
class LINNET_API MonoSource {
 public:
  virtual ~MonoSource() = default;
  virtual const AudioInfo& info() const = 0;
  // Puts the next samples at the beginning of `out`, all of one rate; 0 only at the end.
  virtual Result<size_t> Read(std::span<float> out) = 0;
  // Of the samples of the last Read: in some files it changes on the way.
  virtual int64_t rate() const { return info().rate; }
  // Samples so far that were not usable (not a number, or a million times too loud) and were replaced by 0.
  virtual int64_t replaced() const { return 0; }
};

// A sound read piece by piece at 16 kHz: memory does not grow with its length.
class LINNET_API AudioReader {
 public:
  static Result<AudioReader> FromSource(std::unique_ptr<MonoSource> source);
  // The sound that `open` opens, here twice, made louder where it is too quiet for the model: something loud
  // enough is looked for first, and usually found in its first seconds; where there is none up to
  // `max_seconds`, the whole is multiplied.
  static Result<AudioReader> LoudEnough(const std::function<Result<AudioReader>()>& open,
                                        double max_seconds = 1e9);
  AudioReader(AudioReader&&) noexcept;
  AudioReader& operator=(AudioReader&&) noexcept;
  ~AudioReader();

  const AudioInfo& info() const;
  // Samples at 16 kHz that Read() will give altogether: exact for WAV, an estimate for other formats, -1 =
  // unknown.
  int64_t expected_samples() const;
  // What a person should know about the sound as far as it was read, at its end about all of it: damage, a
  // file that was cut, silence …; usually empty.
  std::string note() const;
  // Fills `out` with the next samples; fewer than asked only at the end.
  Result<size_t> Read(std::span<float> out);
  // All that is left. Errors: kUnsupported when it is longer than `max_seconds`.
  Result<AudioClip> ReadClip(double max_seconds = 3600.0);
  // Errors of Read begin with this name.
  void SetName(std::string name);

  struct Impl;  // for Linnet's own floors
  explicit AudioReader(std::unique_ptr<Impl> impl);

 private:
  std::unique_ptr<Impl> impl_;
};

struct LoaderOptions {
  bool sandbox = true;  // false: decode in this process, without any protection
  // The program that decodes. Empty = LINNET_MEDIA_HELPER, else `linnet-media` of this installation.
  std::filesystem::path helper;
  double patience_seconds = 30;  // without a sign from the helper; four times that for videos
};

// Decodes media of strangers in a helper process that may neither open files nor run long nor take much
// memory: a decoder that crashes or hangs gives an error and nothing else.
//
// Thread safety: may be used from several threads. Copies share it.
class LINNET_API MediaLoader {
 public:
  // Starts the helper once, to see what the system grants it.
  explicit MediaLoader(const LoaderOptions& options = {});

  // 8-bit RGB, turned as its EXIF orientation says. Errors: kNotFound; kBadFile for what is damaged or no
  // picture, also when the decoder died or hung; kUnsupported for a kind that is not read, and where there is
  // no helper that works: media are not decoded without one unless the options say so; kOutOfMemory.
  Result<Picture> LoadPicture(const MediaSource& source) const;
  // A sound, or that of a video. The same errors, some of which come while it is read.
  Result<AudioReader> OpenAudio(const MediaSource& source) const;

  // Empty when media are decoded with all protections; else one line on what is missing, to be said before
  // the first of them is decoded.
  std::string Weakness() const;

  struct Impl;  // for Linnet's own floors
  const Impl& impl() const { return *impl_; }

 private:
  std::shared_ptr<const Impl> impl_;
};

struct MicrophoneOptions {
  // "KIND:NAME" with a kind of input of libavdevice, as "alsa:hw:1", "pulse:default", "avfoundation::0"; also
  // "lavfi:GRAPH", made sound for trying things out. Empty = the system's own.
  std::string device;
  double max_seconds = 0;         // 0 = until it is stopped
  std::filesystem::path program;  // empty = LINNET_MICROPHONE, else `linnet-microphone` of this installation
};

// Records from now on. Read() waits for what is spoken, and nothing is lost while nobody reads: only more
// than ten minutes of it end the recording, with a note. The sound ends after `max_seconds`, once `stopped`
// gives true (asked between reads), at Ctrl-C, which the recording program hears too, or with the device.
// Errors: kUnsupported without the program, kNotFound when no device can be opened, kInvalidArgument for a
// kind that is not known.
LINNET_API Result<AudioReader> OpenMicrophone(const MicrophoneOptions& options,
                                              std::function<bool()> stopped);

}  // namespace linnet
