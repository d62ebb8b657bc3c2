// A recording that is written down or translated piece by piece, each an answer like any other: pieces wait
// and are heard beside the answers of others.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "assist/prompts.h"
#include "linnet/media.h"
#include "linnet/speech.h"
#include "media/voice.h"
#include "server/answer_route.h"

namespace linnet {

struct SpeechRequest {
  MediaSource source{std::vector<uint8_t>(), ""};
  std::string language;  // full name of that to translate into; empty = write down
  std::string hint;      // what the client says of the recording: names and terms in it
  GenerateOptions options;
  std::string owner;
  int64_t together = 4;  // pieces that wait or are heard at once
};

// What is asked of the model beside writing down, of what the client says of a recording: names and words in
// it. Errors: kInvalidArgument, it is too long.
Result<std::string> SpeechHint(const std::string& prompt);

// What a piece adds to the text of a recording so far.
std::string MoreOfTranscript(const std::string& so_far, const Utterance& utterance);

// What a person should know where so many pieces have `Utterance::cut`; empty: none.
std::string NoteOnCut(int64_t pieces);
std::string JoinedNotes(const std::string& first, const std::string& second);  // either may be empty

// On the network's thread, but for what it reads, prepares and decodes, which the workers do.
class SpeechJob : public std::enable_shared_from_this<SpeechJob> {
 public:
  struct Listener {
    std::function<void(const Utterance&)> on_utterance;  // in order
    // The length in seconds and what a person should know, or what went wrong.
    std::function<void(Result<double> seconds, std::string note)> on_end;
  };
  SpeechJob(const AnswerFloor& floor, const MediaLoader& loader, SpeechRequest request, Listener listener);

  void Begin();
  void Cancel();
  // Tokens read and written so far, as OpenAI's clients know them.
  Json Usage() const;

 private:
  struct Piece {
    Utterance utterance;
    bool done = false;
    AnswerJobPtr job;
  };
  // What only one worker at a time uses.
  struct Reading {
    std::optional<AudioReader> reader;
    std::optional<VoiceSplitter> splitter;
    SpeechPrompts prompts;
    bool at_end = false;
    std::string broken;  // why not further
  };
  struct Prepared {
    Utterance utterance;
    AnswerRequest request;
  };

  void ReadOn();
  Result<std::optional<Prepared>> NextPiece();
  Result<AnswerRequest> Ask(VoicePiece piece, double seconds);
  Result<AnswerRequest> AskTranslation(const std::string& text) const;
  void Take(Result<std::optional<Prepared>> next);
  void Submit(size_t index, AnswerRequest request);
  void OnAnswer(size_t index, Result<Generation> answer);
  void HandOut();
  void Fail(const Error& error);
  bool TranslatesAtOnce() const {
    return !request_.language.empty() && !reading_->prompts.translate_speech.empty();
  }

  AnswerFloor floor_;
  const MediaLoader& loader_;
  SpeechRequest request_;
  Listener listener_;
  std::shared_ptr<Reading> reading_ = std::make_shared<Reading>();
  std::map<size_t, Piece> pieces_;  // that were not handed out, by their number
  size_t next_number_ = 0;
  bool reading_on_ = false, ended_ = false;
  int64_t read_tokens_ = 0, written_tokens_ = 0;
};

}  // namespace linnet
