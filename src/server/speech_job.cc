#include "server/speech_job.h"

#include <fmt/format.h>
#include <boost/asio/post.hpp>

#include <utility>

#include "assist/transcriber.h"
#include "base/memory_guard.h"
#include "runtime/engine_impl.h"
#include "runtime/media_composer.h"

namespace linnet {
namespace {

constexpr size_t kRead = 1 << 14;  // samples
constexpr size_t kMostHint = 4000;
constexpr const char* kLess = "send a shorter recording, or ask for less at once";

}  // namespace

Result<std::string> SpeechHint(const std::string& prompt) {
  if (prompt.empty()) return {};
  if (prompt.size() <= kMostHint) return "Names and words that may occur: " + prompt;
  return linnet::Fail(ErrorCode::kInvalidArgument, fmt::format("prompt is longer than {} bytes", kMostHint),
                      "give a shorter one");
}

std::string MoreOfTranscript(const std::string& so_far, const Utterance& utterance) {
  return (so_far.empty() || utterance.shown().empty() ? "" : " ") + utterance.shown();
}

std::string JoinedNotes(const std::string& first, const std::string& second) {
  return first + (first.empty() || second.empty() ? "" : "; ") + second;
}

std::string NoteOnCut(int64_t pieces) {
  if (pieces == 0) return {};
  return fmt::format("in {} piece{} the model repeated itself or had no room, and was stopped", pieces,
                     pieces == 1 ? "" : "s");
}

SpeechJob::SpeechJob(const AnswerFloor& floor, const MediaLoader& loader, SpeechRequest request,
                     Listener listener)
    : floor_(floor), loader_(loader), request_(std::move(request)), listener_(std::move(listener)) {}

void SpeechJob::Begin() { ReadOn(); }

Json SpeechJob::Usage() const {
  return {{"type", "tokens"},
          {"input_tokens", read_tokens_},
          {"output_tokens", written_tokens_},
          {"total_tokens", read_tokens_ + written_tokens_}};
}

void SpeechJob::Cancel() {
  ended_ = true;
  for (auto& [number, piece] : pieces_) {
    if (piece.job != nullptr) floor_.service.Cancel(piece.job);
  }
}

// Has the next piece read beside the network, unless enough of them wait.
void SpeechJob::ReadOn() {
  if (ended_ || reading_on_ || reading_->at_end ||
      static_cast<int64_t>(pieces_.size()) >= request_.together) {
    return;
  }
  reading_on_ = true;
  boost::asio::post(floor_.workers, [self = shared_from_this()] {
    auto next = std::make_shared<Result<std::optional<Prepared>>>(
        WithinMemory("this recording", kLess, [&] { return self->NextPiece(); }));
    self->floor_.network.Post([self, next] { self->Take(std::move(*next)); });
  });
}

// On a worker. Nothing: there is no further one.
Result<std::optional<SpeechJob::Prepared>> SpeechJob::NextPiece() {
  Reading& reading = *reading_;
  if (!reading.reader) {
    LINNET_ASSIGN(reading.prompts, ReadPrompts(floor_.model.engine.impl().prompts_json));
    LINNET_ASSIGN(reading.splitter, VoiceSplitter::Create());
    LINNET_ASSIGN(reading.reader,
                  AudioReader::LoudEnough([this] { return loader_.OpenAudio(request_.source); }));
  }
  std::vector<float> samples(kRead);
  while (true) {
    if (std::optional<VoicePiece> piece = reading.splitter->Next()) {
      Utterance utterance{.begin = piece->begin_seconds(), .end = piece->end_seconds()};
      const double seconds = utterance.end - utterance.begin;
      LINNET_ASSIGN(AnswerRequest request, Ask(std::move(*piece), seconds));
      return Prepared{std::move(utterance), std::move(request)};
    }
    if (reading.at_end) return std::nullopt;
    const auto count = reading.reader->Read(samples);
    if (!count) reading.broken = count.error().Message();
    reading.splitter->Push(std::span(samples).first(count.value_or(0)));
    reading.at_end = !count || *count < samples.size();
    if (reading.at_end) reading.splitter->Finish();
  }
}

Result<AnswerRequest> SpeechJob::Ask(VoicePiece piece, double seconds) {
  const SpeechPrompts& prompts = reading_->prompts;
  UserMessage message;
  message.text =
      TranslatesAtOnce() ? FillPrompt(prompts.translate_speech, request_.language, "") : prompts.transcribe;
  if (!request_.hint.empty()) message.text += "\n" + request_.hint;
  std::vector<MediaPart> parts;
  parts.push_back(
      {.content = AudioClip{{}, std::move(piece.samples)},
       .options = {},
       .name = fmt::format("the piece at {:.1f} s", static_cast<double>(piece.begin) / kSampleRate)});
  const Engine::Impl& engine = floor_.model.engine.impl();
  LINNET_TRY(AddMedia(loader_, engine.config, {.context = floor_.model.context}, std::move(parts), message));
  ChatHistory history({}, {}, false);
  history.AddUser(std::move(message));
  AnswerRequest request{.options = request_.options, .owner = request_.owner};
  LINNET_ASSIGN(request.prepared, Prepare(floor_.model.engine, std::move(history), floor_.model.context));
  request.options.max_tokens = MostTokensOfSpeech(seconds, TranslatesAtOnce());
  request.options.draft = floor_.model.draft;
  return request;
}

Result<AnswerRequest> SpeechJob::AskTranslation(const std::string& text) const {
  ChatHistory history({}, {}, false);
  history.AddUser({.text = FillPrompt(reading_->prompts.translate_text, request_.language, text)});
  AnswerRequest request{.options = request_.options, .owner = request_.owner};
  LINNET_ASSIGN(request.prepared, Prepare(floor_.model.engine, std::move(history), floor_.model.context));
  request.options.max_tokens = MostTokensOfTranslation(text);
  request.options.draft = floor_.model.draft;
  return request;
}

void SpeechJob::Take(Result<std::optional<Prepared>> next) {
  reading_on_ = false;
  if (ended_) return;
  if (!next) return Fail(next.error());
  if (*next) {
    const size_t number = next_number_++;
    pieces_[number].utterance = std::move((*next)->utterance);
    Submit(number, std::move((*next)->request));
  }
  if (ended_) return;
  HandOut();
  ReadOn();
}

void SpeechJob::Submit(size_t number, AnswerRequest request) {
  AnswerJob::Listener listener{
      .on_events = [](std::vector<TurnEvent>) {},
      .on_end = [self = shared_from_this(),
                 number](Result<Generation> answer) { self->OnAnswer(number, std::move(answer)); }};
  pieces_[number].job = std::make_shared<AnswerJob>(std::move(request), std::move(listener));
  if (!floor_.service.Submit({pieces_[number].job})) {
    pieces_[number].job = nullptr;
    Fail({ErrorCode::kOutOfMemory, "too many requests wait already", "try again in a while"});
  }
}

void SpeechJob::OnAnswer(size_t number, Result<Generation> answer) {
  if (ended_) {
    pieces_.erase(number);  // whose job holds this
    return;
  }
  if (answer && answer->finish == FinishReason::kCancelled) {
    answer = linnet::Fail(ErrorCode::kCancelled, "the server is being stopped", "send the request again");
  }
  if (!answer) return Fail(answer.error());
  read_tokens_ += answer->stats.prompt_tokens + answer->stats.reused_tokens;
  written_tokens_ += answer->stats.generated_tokens;
  Piece& piece = pieces_[number];
  const bool translated = piece.done;
  // The model's own end is the only one that leaves nothing out.
  piece.utterance.cut = piece.utterance.cut ||
                        (answer->finish != FinishReason::kStop && answer->finish != FinishReason::kToolCall);
  if (translated) {
    piece.utterance.translation = TrimmedAnswer(answer->text);
  } else if (TranslatesAtOnce()) {
    SplitTranslation(answer->text, request_.language, piece.utterance);
  } else {
    piece.utterance.text = TrimmedAnswer(answer->text);
    if (!request_.language.empty() && !piece.utterance.text.empty()) {
      piece.done = true;
      auto next = AskTranslation(piece.utterance.text);
      if (!next) return Fail(next.error());
      return Submit(number, std::move(*next));
    }
  }
  piece.done = true;
  piece.job = nullptr;
  HandOut();
  ReadOn();
}

// What is done from the front, and the end.
void SpeechJob::HandOut() {
  while (!pieces_.empty() && pieces_.begin()->second.done && pieces_.begin()->second.job == nullptr) {
    listener_.on_utterance(pieces_.begin()->second.utterance);
    pieces_.erase(pieces_.begin());
  }
  if (ended_ || reading_on_ || !reading_->at_end || !pieces_.empty()) return;
  ended_ = true;
  const double seconds =
      static_cast<double>(reading_->splitter->samples()) / static_cast<double>(kSampleRate);
  std::string note = reading_->broken;
  if (note.empty()) note = reading_->reader->note();
  listener_.on_end(seconds, std::move(note));
}

void SpeechJob::Fail(const Error& error) {
  if (ended_) return;
  Cancel();
  listener_.on_end(std::unexpected(error), {});
}

}  // namespace linnet
