// What was said when, and how it is written down: plain text, SubRip, WebVTT, JSON.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "linnet/error.h"

namespace linnet {

struct Utterance {
  double begin = 0, end = 0;  // seconds of the recording
  std::string text;           // as it was heard; may be empty
  std::string translation;    // empty where none was asked for
  bool cut = false;           // the model wrote more than fits the length of the sound

  // What a reader wants: the translation where there is one.
  const std::string& shown() const { return translation.empty() ? text : translation; }
};

enum class TranscriptFormat { kText, kSrt, kVtt, kJson };

// Writes a transcript piece by piece; the parts joined are the file. `number` counts the utterances shown,
// from 1.
class TranscriptWriter {
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

}  // namespace linnet
