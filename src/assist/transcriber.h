// Writes down a recording of any length: cut at pauses, each piece heard on its own with a short prompt, in
// order.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "assist/prompts.h"
#include "assist/transcript.h"
#include "linnet/engine.h"
#include "linnet/error.h"
#include "media/audio.h"
#include "media/voice.h"
#include "runtime/conversation.h"
#include "runtime/scheduler.h"

namespace linnet {

struct TranscribeOptions {
  SplitOptions split;
  std::string language;  // full name of the language to translate into; empty = write down only
  int64_t together = 1;  // pieces that are heard at once; each takes the memory of a session, as it is needed
};

// Called for each piece that was heard. An error stops the work.
using UtteranceSink = std::function<Status(const Utterance&)>;
// Seconds of the recording that are done, and whether the next piece waits to be heard.
using PositionSink = std::function<void(double seconds)>;

struct Heard {
  double seconds = 0;           // length of the recording, as far as it could be read
  std::optional<Error> broken;  // why not further; all before it was heard
};

class Transcriber {
 public:
  // The engine must outlive it. Errors: kUnsupported for a model that does not hear; kInvalidArgument; those
  // of NewSession.
  static Result<Transcriber> Create(Engine& engine, const SessionOptions& session,
                                    const TranscribeOptions& options);

  const std::string& language() const { return options_.language; }

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
  // A conversation that pieces are heard in, one after another.
  struct Seat {
    Conversation conversation;
    Turn* turn = nullptr;  // of the piece at hand; null: the seat is free
  };
  // A piece that is being heard or, where the model does not do both at once, whose text is being translated.
  struct Job {
    Utterance utterance;
    Seat* seat = nullptr;
    bool translating = false, done = false;
  };
  // What a run is given, and its pieces from the first that has not been handed out.
  struct Hearing {
    const UtteranceSink& sink;
    const PositionSink& position;
    const std::atomic<bool>* cancel;
    std::deque<Job> jobs;
  };

  Transcriber(Engine& engine, const SessionOptions& session, Scheduler scheduler, SpeechPrompts prompts)
      : engine_(engine), session_(session), scheduler_(std::move(scheduler)), prompts_(std::move(prompts)) {}

  bool TranslatesTogether() const { return !options_.language.empty() && !prompts_.translate_speech.empty(); }
  Status AddSeat();
  bool Full();
  Seat* FreeSeat();
  Status Ask(Seat& seat, UserMessage message, int64_t max_tokens, const std::atomic<bool>* cancel);
  Result<Generation> Answer(Seat& seat);
  Status Hear(VoicePiece piece, Hearing& hearing);
  Status Translate(const std::string& text, Seat& seat, const std::atomic<bool>* cancel);
  Status Take(Job& job, const std::atomic<bool>* cancel);
  Status RunStep(Hearing& hearing);
  Result<Heard> HearAll(AudioReader& reader, double from_seconds, Hearing& hearing);
  void GiveUp();

  Engine& engine_;
  SessionOptions session_;
  Scheduler scheduler_;
  std::vector<std::unique_ptr<Seat>> seats_;  // at least one
  SpeechPrompts prompts_;
  TranscribeOptions options_;
};

// Splits what a model answered to `translate_speech` into what was said and its translation.
void SplitTranslation(const std::string& answer, const std::string& language, Utterance& utterance);

}  // namespace linnet
