// A loaded model: weights, tokenizer and threads. Sessions hold the conversation state.
//
// Thread safety: an Engine and its sessions may be used from one thread at a time. Several engines may work
// at once: those with the same number of threads share them, taking turns of a step, or of some 20 ms of a
// longer one. What each computes does not change by it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "linnet/error.h"
#include "linnet/export.h"
#include "linnet/options.h"

namespace linnet {

struct ModelConfig;
class Session;
class Tokenizer;
class ThreadPool;

class LINNET_API Engine {
 public:
  // Reads, checks and repacks the weights. Errors: kNotFound, kBadFile, kUnsupported, kOutOfMemory;
  // kInvalidArgument for options that contradict each other or are out of range, and for a LINNET_ISA that
  // this processor cannot run.
  static Result<std::unique_ptr<Engine>> Load(const LoadOptions& options, const Progress& progress = {});
  ~Engine();

  const ModelConfig& config() const;
  const Tokenizer& tokenizer() const;
  // The prompts the model was taught: a JSON object of texts, from prompts.json in its directory; usually
  // empty.
  const std::string& prompts_json() const;
  // What somebody should know who loaded this: an assistant beside the model that does not belong to it, and
  // the like.
  const std::vector<std::string>& notes() const;
  ThreadPool& pool();
  uint64_t weight_bytes() const;  // resident bytes of all weights

  // Errors: kInvalidArgument when the context is beyond the model's, kOutOfMemory.
  // The engine must outlive the session.
  Result<std::unique_ptr<Session>> NewSession(const SessionOptions& options);

  struct Impl;
  explicit Engine(std::unique_ptr<Impl> impl);
  Impl& impl() { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace linnet
