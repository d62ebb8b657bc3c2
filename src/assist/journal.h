// What is written down so far, on disk, so that a long transcription that was stopped goes on where it was:
// one JSON line for each utterance, written as it is heard.
#pragma once

#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "assist/transcript.h"
#include "linnet/error.h"

namespace linnet {

class Journal {
 public:
  // `key` says what is transcribed and how: a journal with another key is started anew. A last line that is
  // cut off, as a killed process leaves it, is dropped. Errors: those of CannotWrite.
  static Result<Journal> Open(const std::filesystem::path& path, const std::string& key);

  const std::vector<Utterance>& done() const { return done_; }
  // On disk when it returns. Errors: those of CannotWrite; what was written before stays to go on with.
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
