#include "assist/transcriber.h"

#include <algorithm>
#include <deque>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "assist/prompts.h"
#include "base/memory_guard.h"
#include "base/stopwatch.h"
#include "linnet/conversation.h"
#include "linnet/scheduler.h"
#include "media/voice.h"
#include "runtime/engine_impl.h"

namespace linnet {
namespace {

constexpr size_t kRead = 1 << 12;  // a quarter of a second: what is live shall not wait longer
// A source that takes longer for so much is slower than what hears it: what there is, is heard at once.
constexpr double kLiveSeconds = 0.05;
// Fast speech is about five words a second; a model that writes more than this has begun to repeat itself.
constexpr double kTokensPerSecond = 12;
constexpr int64_t kSpareTokens = 48;
constexpr const char* kLessMemory = "hear fewer pieces together, or close other programs";
constexpr const char* kMoreRoom = "ask for a larger --context, or give shorter pieces";
// Nobody waits for the next word of a piece: prompts are read beside it as fast as they can be.
constexpr int64_t kPromptRows = 512;

// More than a transcript or translation can be: the model has begun to repeat itself.
bool WasCut(const Generation& answer) { return answer.finish == FinishReason::kLength; }

}  // namespace

std::string TrimmedAnswer(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos) return {};
  return std::string(text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1));
}

int64_t MostTokensOfSpeech(double seconds, bool translated_too) {
  return static_cast<int64_t>((translated_too ? 2 : 1) * kTokensPerSecond * seconds) + kSpareTokens;
}

// It may be longer than its text, in tokens of a script the vocabulary knows less well.
int64_t MostTokensOfTranslation(std::string_view text) {
  return static_cast<int64_t>(text.size()) * 2 + kSpareTokens;
}

void SplitTranslation(const std::string& answer, const std::string& language, Utterance& utterance) {
  const std::string mark = language + ":";
  size_t at = answer.rfind("\n" + mark);
  at = at != std::string::npos ? at + 1 : answer.starts_with(mark) ? 0 : at;
  if (at == std::string::npos) {
    // Without the mark the last line is the translation, if there is more than one.
    const std::string whole = TrimmedAnswer(answer);
    const size_t line = whole.rfind('\n');
    utterance.text = TrimmedAnswer(whole.substr(0, line));
    utterance.translation = line == std::string::npos ? utterance.text : TrimmedAnswer(whole.substr(line));
    return;
  }
  utterance.text = TrimmedAnswer(answer.substr(0, at));
  utterance.translation = TrimmedAnswer(answer.substr(at + mark.size()));
}

struct LINNET_HIDDEN Transcriber::Impl {
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
    std::optional<Error> error = {};  // of one that is done and could not be heard
  };
  // What a run is given, and its pieces from the first that has not been handed out. After one that fails no
  // other is begun; those before it are heard to their end, so that the text does not depend on how many are
  // heard at once.
  struct Hearing {
    const UtteranceSink& sink;
    const PositionSink& position;
    const std::atomic<bool>* cancel;
    std::deque<Job> jobs = {};
    bool failed = false;  // one of the jobs

    void Note(Job& job, const Status& status) {
      if (status) return;
      job.error = status.error();
      job.done = failed = true;
    }
  };

  bool TranslatesTogether() const { return !options.language.empty() && !prompts.translate_speech.empty(); }
  Status AddSeat();
  bool Full();
  Seat* FreeSeat();
  Status Ask(Seat& seat, UserMessage message, int64_t max_tokens, const std::atomic<bool>* cancel);
  Result<Generation> Answer(Seat& seat);
  Status Hear(VoicePiece piece, Job& job, const std::atomic<bool>* cancel);
  Status Translate(const std::string& text, Seat& seat, const std::atomic<bool>* cancel);
  Status Take(Job& job, const std::atomic<bool>* cancel);
  Status RunStep(Hearing& hearing);
  Result<Heard> HearAll(AudioReader& reader, double from_seconds, Hearing& hearing);
  void GiveUp();

  Engine& engine;
  SessionOptions session;
  Scheduler scheduler;
  SpeechPrompts prompts;
  TranscribeOptions options;
  MediaLoader loader = MediaLoader({.sandbox = false});  // pieces are samples: nothing is decoded
  std::vector<std::unique_ptr<Seat>> seats = {};         // at least one
};

Transcriber::Transcriber(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Transcriber::Transcriber(Transcriber&&) noexcept = default;
Transcriber& Transcriber::operator=(Transcriber&&) noexcept = default;
Transcriber::~Transcriber() = default;

const std::string& Transcriber::language() const { return impl_->options.language; }

Result<Transcriber> Transcriber::Create(Engine& engine, const SessionOptions& session,
                                        const TranscribeOptions& options) {
  if (!engine.facts().hears) {
    return Fail(ErrorCode::kUnsupported, "this model takes no sound",
                "use a model with its multimodal part ('linnet info MODEL' lists the parts)");
  }
  LINNET_TRY(VoiceSplitter::Create(options.split));
  LINNET_ASSIGN(SpeechPrompts prompts, ReadPrompts(engine.impl().prompts_json));
  LINNET_ASSIGN(Scheduler scheduler,
                Scheduler::Create(engine, {.turns = options.together, .prompt_rows_beside = kPromptRows}));
  auto impl = std::make_unique<Impl>(engine, session, std::move(scheduler), std::move(prompts), options);
  LINNET_TRY(impl->AddSeat());
  return Transcriber(std::move(impl));
}

Status Transcriber::Impl::AddSeat() {
  LINNET_ASSIGN(Conversation conversation, Conversation::Create(engine, session, {}));
  seats.push_back(std::make_unique<Seat>(std::move(conversation)));
  return {};
}

Transcriber::Impl::Seat* Transcriber::Impl::FreeSeat() {
  const auto seat = std::ranges::find(seats, nullptr, [](const auto& s) { return s->turn; });
  return seat == seats.end() ? nullptr : seat->get();
}

// Whether no other piece can be heard now: every seat is taken, and there is no memory for another.
bool Transcriber::Impl::Full() {
  if (FreeSeat() != nullptr) return false;
  if (static_cast<int64_t>(seats.size()) < options.together && !AddSeat()) {
    options.together = static_cast<int64_t>(seats.size());
  }
  return FreeSeat() == nullptr;
}

Status Transcriber::Impl::Ask(Seat& seat, UserMessage message, int64_t max_tokens,
                              const std::atomic<bool>* cancel) {
  GenerateOptions generate;
  generate.sampling.temperature = 0.0f;
  generate.max_tokens = max_tokens;
  generate.draft = options.draft;
  seat.conversation.AddUser(std::move(message));
  LINNET_ASSIGN(seat.turn, seat.conversation.Begin(generate, cancel));
  return scheduler.Add(*seat.turn);
}

// Of a turn that is done, and leaves its seat.
Result<Generation> Transcriber::Impl::Answer(Seat& seat) {
  seat.turn = nullptr;
  auto answer = seat.conversation.End();
  if (answer && answer->finish == FinishReason::kCancelled) return Fail(ErrorCode::kCancelled, "stopped");
  if (answer && answer->finish == FinishReason::kContext) {
    return Fail(
        ErrorCode::kInvalidArgument,
        fmt::format("a context of {} tokens has no room for all of an answer", seat.conversation.context()),
        kMoreRoom);
  }
  return answer;
}

Status Transcriber::Impl::Hear(VoicePiece piece, Job& job, const std::atomic<bool>* cancel) {
  const int64_t most = MostTokensOfSpeech(job.utterance.end - job.utterance.begin, TranslatesTogether());
  UserMessage message;
  message.text =
      TranslatesTogether() ? FillPrompt(prompts.translate_speech, options.language, "") : prompts.transcribe;
  Conversation& conversation = job.seat->conversation;
  conversation.Reset();
  std::vector<MediaPart> parts;
  parts.push_back({.content = AudioClip{{}, std::move(piece.samples)},
                   .options = {},
                   .name = fmt::format("the piece at {:.1f} s", job.utterance.begin)});
  const auto uses = conversation.Attach(loader, std::move(parts), message);
  Status asked = uses ? Ask(*job.seat, std::move(message), most, cancel) : std::unexpected(uses.error());
  if (!asked && asked.error().code == ErrorCode::kInvalidArgument) asked.error().hint = kMoreRoom;
  return asked;
}

Status Transcriber::Impl::Translate(const std::string& text, Seat& seat, const std::atomic<bool>* cancel) {
  UserMessage message;
  message.text = FillPrompt(prompts.translate_text, options.language, text);
  seat.conversation.Reset();
  return Ask(seat, std::move(message), MostTokensOfTranslation(text), cancel);
}

// The answer to what was asked for a piece; where it is to be translated by itself, that is asked next.
Status Transcriber::Impl::Take(Job& job, const std::atomic<bool>* cancel) {
  LINNET_ASSIGN(const Generation answer, Answer(*job.seat));
  Utterance& utterance = job.utterance;
  utterance.cut = utterance.cut || WasCut(answer);
  job.done = true;
  if (job.translating) {
    utterance.translation = TrimmedAnswer(answer.text);
    return {};
  }
  if (TranslatesTogether()) {
    SplitTranslation(answer.text, options.language, utterance);
    return {};
  }
  utterance.text = TrimmedAnswer(answer.text);
  if (options.language.empty() || utterance.text.empty()) return {};
  job.translating = true;
  job.done = false;
  return Translate(utterance.text, *job.seat, cancel);
}

// One step; hands out what is done from the front.
Status Transcriber::Impl::RunStep(Hearing& hearing) {
  for (Turn* turn : scheduler.RunStep()) {
    const auto of_turn = [&](const Job& job) { return !job.done && job.seat->turn == turn; };
    Job& job = *std::ranges::find_if(hearing.jobs, of_turn);
    hearing.Note(job, Take(job, hearing.cancel));
  }
  for (; !hearing.jobs.empty() && hearing.jobs.front().done; hearing.jobs.pop_front()) {
    const Job& job = hearing.jobs.front();
    if (job.error) return std::unexpected(*job.error);
    LINNET_TRY(hearing.sink(job.utterance));
    if (hearing.position) hearing.position(job.utterance.end);
  }
  return {};
}

// Leaves every seat as it was before a run.
void Transcriber::Impl::GiveUp() {
  for (const auto& seat : seats) {
    if (seat->turn != nullptr) {
      scheduler.Remove(*seat->turn);
      (void)Answer(*seat);
    }
    seat->conversation.Reset();
  }
}

Result<std::string> Transcriber::TranslateText(const std::string& text, bool& cut,
                                               const std::atomic<bool>* cancel) {
  Impl& t = *impl_;
  Impl::Seat& seat = *t.seats.front();
  const auto answer = WithinMemory("a translation", "close other programs", [&]() -> Result<Generation> {
    LINNET_TRY(t.Translate(text, seat, cancel));
    while (!t.scheduler.empty()) t.scheduler.RunStep();
    return t.Answer(seat);
  });
  if (!answer) {
    t.GiveUp();
    return std::unexpected(answer.error());
  }
  cut = cut || WasCut(*answer);
  return TrimmedAnswer(answer->text);
}

Result<Heard> Transcriber::Run(AudioReader& reader, double from_seconds, const UtteranceSink& sink,
                               const PositionSink& position, const std::atomic<bool>* cancel) {
  Impl::Hearing hearing{sink, position, cancel};
  auto heard =
      WithinMemory("a recording", kLessMemory, [&] { return impl_->HearAll(reader, from_seconds, hearing); });
  if (!heard) impl_->GiveUp();
  if (!heard && heard.error().code == ErrorCode::kOutOfMemory) heard.error().hint = kLessMemory;
  return heard;
}

Result<Heard> Transcriber::Impl::HearAll(AudioReader& reader, double from_seconds, Hearing& hearing) {
  LINNET_ASSIGN(VoiceSplitter splitter, VoiceSplitter::Create(options.split));
  std::vector<float> samples(kRead);
  Heard heard;
  const auto stopped = [&] { return hearing.cancel != nullptr && hearing.cancel->load(); };
  bool more = true;
  while (more) {
    const Clock::time_point begin = Clock::now();
    const auto count = reader.Read(samples);
    const bool waited = SecondsSince(begin) > kLiveSeconds;
    if (!count) heard.broken = count.error();
    splitter.Push(std::span(samples).first(count.value_or(0)));
    more = count && *count == samples.size();
    if (!more) splitter.Finish();
    while (auto piece = splitter.Next()) {
      if (stopped()) return Fail(ErrorCode::kCancelled, "stopped");
      if (piece->begin_seconds() < from_seconds) continue;
      hearing.jobs.push_back({{piece->begin_seconds(), piece->end_seconds(), {}, {}, false}, FreeSeat()});
      hearing.Note(hearing.jobs.back(), Hear(std::move(*piece), hearing.jobs.back(), hearing.cancel));
      while (hearing.failed || Full()) LINNET_TRY(RunStep(hearing));
    }
    while (waited && !hearing.jobs.empty()) LINNET_TRY(RunStep(hearing));
    if (stopped()) return Fail(ErrorCode::kCancelled, "stopped");
  }
  while (!hearing.jobs.empty()) LINNET_TRY(RunStep(hearing));
  heard.seconds = static_cast<double>(splitter.samples()) / static_cast<double>(kSampleRate);
  return heard;
}

}  // namespace linnet
