// A conversation in a file, to go on with after a restart: its messages and media, the tokens that the model
// has read and written, and their keys and values, so that only what is new is computed. What is computed has
// the bits that never having stopped would give.
//
// The file grows by what a turn adds: full pages of keys and values and media are written once; what a turn
// replaces (the window of the sliding layers, the last page, the texts) goes to another place first, and the
// old one is given back. Whatever ends the program, the file holds what it held before the last Save() or
// after it. All of it stands under checksums: a file that is cut or changed anywhere is refused.
//
// Thread safety: one thread at a time, that of the engine.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "linnet/conversation.h"
#include "linnet/engine.h"
#include "linnet/error.h"
#include "linnet/export.h"
#include "linnet/options.h"

namespace linnet {

// A picture, a video or a sound that a file holds as the model takes it.
struct SessionMedium {
  std::string kind;     // "image", "video", "audio"
  int64_t message = 0;  // of messages(), counted from 0
  uint64_t bytes = 0;   // in the file
  std::string sha256;   // of its content
};

// What a file holds, as far as can be told without a model.
struct SessionFacts {
  std::string model;         // its name; may be empty
  std::string fingerprint;   // of its files, in hexadecimal
  SessionOptions options;    // with which the conversation was held
  SamplingOptions sampling;  // with which the last answer was chosen
  ChatSetup setup;
  int64_t messages = 0;
  int64_t tokens = 0;  // whose keys and values are there
  std::vector<SessionMedium> media;
  uint64_t bytes = 0;  // of the whole file
};

enum class SessionFormat { kJson, kMarkdown };

class LINNET_API SessionFile {
 public:
  // For going on: until it is closed, nobody else can open it. One that is not there appears with the first
  // Save(); until then FILE.linnet-new is kept beside it. It is readable to its owner alone. Errors:
  // kInvalidArgument, another program has it open, or it cannot be made there; kBadFile, it is damaged, or no
  // session; kUnsupported, another version of Linnet wrote it.
  static Result<SessionFile> Open(const std::filesystem::path& path);
  // For looking into it. Others may do so meanwhile. Errors: also kNotFound; Save() must not be called.
  static Result<SessionFile> Read(const std::filesystem::path& path);
  SessionFile(SessionFile&&) noexcept;
  SessionFile& operator=(SessionFile&&) noexcept;
  ~SessionFile();

  bool empty() const;  // nothing has been saved yet
  const SessionFacts& facts() const;
  const std::filesystem::path& path() const;

  // The conversation, as it was saved. Of the options, `context` may be another one that it fits in, 0 being
  // that of the file. Errors: kBadFile, damaged; kInvalidArgument, the model or the options are others than
  // those it was held with; those of Conversation::Create(). REQUIRES: !empty().
  Result<Conversation> Load(Engine& engine, const SessionOptions& options);

  // Makes the file hold this conversation instead of what it held; what both have is not written again, and
  // nothing is where nothing has changed. Errors: kBadFile and kInvalidArgument where it cannot be written;
  // it holds what it held before then. kUnsupported: the engine's weights come from no file.
  Status Save(Conversation& conversation);

  // All messages: a list of OpenAI-shaped ones with the model and the media, or a text for people. Errors:
  // kBadFile. REQUIRES: !empty().
  Result<std::string> Export(SessionFormat format) const;

  // Reads every byte of it. Error: kBadFile, it is damaged.
  Status Check() const;

  struct Impl;  // for Linnet's own floors
  explicit SessionFile(std::unique_ptr<Impl> impl);

 private:
  static Result<SessionFile> OpenFor(const std::filesystem::path& path, bool writing);
  std::unique_ptr<Impl> impl_;
};

}  // namespace linnet
