// What `transcribe` and `translate` share: which files, how a transcript is written, and going on after a
// stop.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "cli/args.h"
#include "cli/mic_args.h"
#include "cli/model_args.h"
#include "linnet/media.h"
#include "linnet/speech.h"

namespace linnet {

struct SpeechArgs {
  ModelArgs model;
  std::vector<std::string> files;
  std::string format = "txt";
  std::string output;  // file or directory; empty = standard output
  bool timestamps = false;
  bool again = false;
  bool quiet = false;
  TranscribeOptions hearing;  // as the options say; see TranscribeOptionsOf
  bool no_sandbox = false;
  MicArgs mic;
  std::set<std::string> given;
};

void DeclareSpeech(Args& args, SpeechArgs& values);
// Errors: kInvalidArgument when there is nothing to hear, or files and the microphone together.
Status CheckSpeech(const SpeechArgs& values);
// How recordings are to be cut and heard; what is spoken live is judged sooner, and piece by piece.
// `language` as in TranscribeOptions. Errors: kInvalidArgument for a --draft that cannot be.
Result<TranscribeOptions> TranscribeOptionsOf(const SpeechArgs& values, const std::string& language);

// The model, planned with as many pieces at once as `options` say: those that --together did not ask for are
// fewer where they do not fit, and `options` then too.
Result<std::unique_ptr<Engine>> LoadSpeechModel(const SpeechArgs& values, const SessionOptions& session,
                                                TranscribeOptions& options);

// What all files of a run have in common.
struct SpeechRun {
  const SpeechArgs& args;
  Transcriber& transcriber;
  const MediaLoader& loader;
  const std::atomic<bool>& cancel;
};

// Writes down one recording, to standard output or into its file, whose journal remembers what is done: a run
// that was stopped goes on there. A recording that cannot be read to its end is written down as far as it
// goes, and is an error. Errors: those of the loader, the model and the disk.
Status WriteDown(const SpeechRun& run, const MediaSource& source);

// Writes down what is spoken into the microphone, piece by piece as it is spoken, until `stop`; then what is
// left of it. A file holds the transcript so far at all times.
Status WriteDownMic(const SpeechArgs& args, Transcriber& transcriber, const std::atomic<bool>& stop);

// The file that the transcript of `file` goes to; empty = standard output. Makes the directory where -o names
// one: where there are several files, or it ends in a slash. Errors: kInvalidArgument.
Result<std::string> OutputOf(const SpeechArgs& args, const std::string& file, const std::string& suffix);

// Does `one` for every file: a file that fails is reported and the next one follows; a cancelled one ends the
// row. Returns the exit code.
int ForEachFile(const std::vector<std::string>& files, const std::function<Status(const std::string&)>& one);

}  // namespace linnet
