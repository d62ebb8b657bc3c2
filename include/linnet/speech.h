// Writes down and translates recordings of any length: cut at pauses, each piece heard on its own with a
// short prompt, in order.
//
// Thread safety: one thread at a time, that of the engine; a flag to cancel may be set from any.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "linnet/engine.h"
#include "linnet/error.h"
#include "linnet/export.h"
#include "linnet/media.h"
#include "linnet/options.h"

namespace linnet {

// How a recording is cut, by energy, as it is read. Nothing that can be heard is dropped.
struct SplitOptions {
  double max_seconds = 15.0;   // the model's hearing fades beyond about 450 positions, 18 s
  double pause_seconds = 0.4;  // a silence of this length ends a piece
  double pad_seconds = 0.12;   // of the silence around a piece that goes with it; at most a quarter of it
  // A moment is judged when this much of what follows is known: its loudness counts too. What is heard live
  // comes that much later.
  double lookahead_seconds = 3.0;
  // Sound is what is louder than the quietest of late by more than this share of the range to the loudest.
  double share = 0.3;
};

struct Utterance {
  double begin = 0, end = 0;  // seconds of the recording
  std::string text;           // as it was heard; may be empty
  std::string translation;    // empty where none was asked for
  bool cut = false;           // the model wrote more than fits the length of the sound

  // What a reader wants: the translation where there is one.
  const std::string& shown() const { return translation.empty() ? text : translation; }
};

struct TranscribeOptions {
  SplitOptions split;
  std::string language;  // full name of the language to translate into; empty = write down only
  int64_t together = 4;  // pieces that are heard at once; each takes the memory of a session, as it is needed
  int32_t draft = -1;    // as GenerateOptions::draft
};

// "French" of "fr" or "French"; empty if it is neither a code that Linnet knows nor a plain name of letters.
LINNET_API std::string LanguageName(std::string_view language);

// Called for each piece that was heard. An error stops the work.
using UtteranceSink = std::function<Status(const Utterance&)>;
// Seconds of the recording that are done.
using PositionSink = std::function<void(double seconds)>;

struct Heard {
  double seconds = 0;           // length of the recording, as far as it could be read
  std::optional<Error> broken;  // why not further; all before it was heard
};

class LINNET_API Transcriber {
 public:
  // The engine must outlive it. Errors: kUnsupported for a model that does not hear; kInvalidArgument; those
  // of NewSession.
  static Result<Transcriber> Create(Engine& engine, const SessionOptions& session = {},
                                    const TranscribeOptions& options = {});
  Transcriber(Transcriber&&) noexcept;
  Transcriber& operator=(Transcriber&&) noexcept;
  ~Transcriber();

  const std::string& language() const;

  // Hears the recording to its end, as many pieces at once as the options say, and reads ahead for them;
  // texts and times are those of pieces heard one by one. Pieces that begin before `from_seconds` are left
  // out: they were heard before. Errors: those of the model and the sink; kCancelled when `cancel` was set.
  Result<Heard> Run(AudioReader& reader, double from_seconds, const UtteranceSink& sink,
                    const PositionSink& position = {}, const std::atomic<bool>* cancel = nullptr);

  // One piece of text in the language of the options. `cut` becomes true when the model wrote more than a
  // translation can be and was stopped. Errors: those of generation, kCancelled.
  Result<std::string> TranslateText(const std::string& text, bool& cut,
                                    const std::atomic<bool>* cancel = nullptr);

 private:
  struct Impl;
  explicit Transcriber(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

enum class TranscriptFormat { kText, kSrt, kVtt, kJson };

// Writes a transcript piece by piece: plain text, SubRip, WebVTT, JSON; the parts joined are the file.
// `number` counts the utterances shown, from 1.
class LINNET_API TranscriptWriter {
 public:
  // `timestamps`: "[00:12] " before each line of plain text; the other formats have times anyway.
  TranscriptWriter(TranscriptFormat format, bool timestamps, std::string file)
      : format_(format), timestamps_(timestamps), file_(std::move(file)) {}

  std::string Begin() const;
  std::string Add(const Utterance& utterance);  // empty for one without words, except in JSON
  // The length of the recording, and what a person should know about it; texts and subtitles hold neither.
  std::string End(double seconds, std::span<const std::string> notes = {}) const;

 private:
  TranscriptFormat format_;
  bool timestamps_;
  std::string file_;
  int number_ = 0;
};

// What is written down so far, on disk, so that a long transcription that was stopped goes on where it was:
// one JSON line for each utterance, written as it is heard.
class LINNET_API Journal {
 public:
  // `key` says what is transcribed and how: a journal with another key is started anew. A last line that is
  // cut off, as a killed process leaves it, is dropped. Errors: kBadFile, it cannot be written.
  static Result<Journal> Open(const std::filesystem::path& path, const std::string& key);

  const std::vector<Utterance>& done() const { return done_; }
  // On disk when it returns. Errors: as above; what was written before stays to go on with.
  Status Append(const Utterance& utterance);
  // The transcript is complete: the journal is not needed any more.
  void Remove();

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  std::filesystem::path path_;
  std::unique_ptr<std::FILE, Close> file_;
  std::vector<Utterance> done_;
};

}  // namespace linnet
