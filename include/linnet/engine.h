// A loaded model: weights, tokenizer and threads. Sessions and conversations hold what is said with it.
//
// Thread safety: an Engine and everything that was made with it may be used from one thread at a time; its
// own const functions may be called from any, also meanwhile. Several engines may work at once, each with a
// thread of its own: those with the same number of threads share them, taking turns of a step, or of some 20
// ms of a longer one. What each computes does not change by it.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "linnet/error.h"
#include "linnet/export.h"
#include "linnet/options.h"

namespace linnet {

class Session;

// What a program may want to know about a model.
struct ModelFacts {
  std::string name;  // free text from the file; may be empty
  std::string type;  // "gemma4_unified", "gemma3_text"
  int64_t layers = 0, width = 0, vocabulary = 0;
  int64_t context = 0;                                // tokens that it was made for at most
  bool sees = false, hears = false, watches = false;  // pictures, sound, videos
  int64_t image_tokens = 0;                           // of a picture, the model's own number
  bool drafts = false;                                // it has an assistant that guesses ahead
  uint64_t weight_bytes = 0;                          // resident, of all weights
  std::string kernels;                                // which instruction set computes
  int threads = 0;
  int64_t conversations = 0;  // of LoadOptions::use that fit at once; 0 = none were planned
};

class LINNET_API Engine {
 public:
  // Reads, checks and repacks the weights; before that, what LoadOptions::use asks for is planned beside the
  // limits of the machine, and refused where it does not fit (kOutOfMemory, with what would). Errors:
  // kNotFound, kBadFile, kUnsupported, kOutOfMemory; kInvalidArgument for options that contradict each other
  // or are out of range, and for a LINNET_ISA that this processor cannot run.
  static Result<std::unique_ptr<Engine>> Load(const LoadOptions& options, const Progress& progress = {});
  ~Engine();

  ModelFacts facts() const;
  // What somebody should know who loaded this: an assistant beside the model that does not belong to it, and
  // the like.
  const std::vector<std::string>& notes() const;

  // Ordinary tokens, whatever the text spells.
  std::vector<int32_t> Tokenise(std::string_view text) const;
  // A text for the model to continue as it is: bos, where the vocabulary has one, and the text. Special
  // tokens spelled out in it are those tokens. Errors, kInvalidArgument: it has places for media.
  Result<std::vector<int32_t>> TokeniseMarked(std::string_view text) const;
  // Special tokens are spelled out. Ids that the vocabulary does not have give nothing.
  std::string Text(std::span<const int32_t> ids) const;

  // Errors: kInvalidArgument when the context is below 0 or beyond the model's, kUnsupported when its heads
  // do not fit the type of keys and values, kOutOfMemory. The engine must outlive the session.
  Result<std::unique_ptr<Session>> NewSession(const SessionOptions& options);

  struct Impl;  // for Linnet's own floors
  explicit Engine(std::unique_ptr<Impl> impl);
  Impl& impl() { return *impl_; }
  const Impl& impl() const { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace linnet
