#include "server/answer_route.h"

#include <functional>
#include <optional>
#include <utility>

namespace linnet {
namespace {

// The answers of one request. On the network's thread.
class AnswerRoute : public std::enable_shared_from_this<AnswerRoute> {
 public:
  AnswerRoute(const AnswerFloor& floor, ExchangePtr exchange, Asked asked)
      : floor_(floor),
        exchange_(std::move(exchange)),
        writer_(std::move(asked.writer)),
        stream_(asked.stream),
        notes_(std::move(asked.notes)),
        requests_(std::move(asked.answers)) {}

  void Begin() {
    answers_.resize(requests_.size());
    const auto self = shared_from_this();
    for (size_t i = 0; i < requests_.size(); ++i) {
      AnswerJob::Listener listener{
          .on_events = [self, i](std::vector<TurnEvent> events) { self->OnEvents(i, events); },
          .on_end = [self, i](Result<Generation> answer) { self->OnEnd(i, std::move(answer)); }};
      jobs_.push_back(std::make_shared<AnswerJob>(std::move(requests_[i]), std::move(listener)));
      if (i > 0) jobs_[i]->SetAfter(jobs_[0]);
    }
    if (!floor_.service.Submit(jobs_)) {
      jobs_.clear();
      return RefuseToWait(*exchange_);
    }
    exchange_->OnClosed([self] { self->CancelAll(); });
    for (const std::string& note : notes_) exchange_->Note("note", note);
    if (stream_) exchange_->Stream(writer_->stream_type(), [self] { return self->SignOfLife(); });
  }

 private:
  void CancelAll() {
    for (const AnswerJobPtr& job : jobs_) {
      if (job != nullptr) floor_.service.Cancel(job);
    }
  }

  // A piece behind what the stream begins with, which is made first: writers number what they make.
  std::string Numbered(const std::function<std::string()>& make) {
    std::string piece;
    if (!std::exchange(begun_, true)) piece = writer_->Begin();
    return piece += make();
  }

  void WritePiece(const std::function<std::string()>& make) {
    const std::string piece = Numbered(make);
    if (!piece.empty()) exchange_->Write(piece);
  }

  std::string SignOfLife() {
    return Numbered([this] { return writer_->SignOfLife(); });
  }

  void OnEvents(size_t choice, const std::vector<TurnEvent>& events) {
    if (!stream_ || failed_) return;
    WritePiece([&] {
      std::string pieces;
      for (const TurnEvent& event : events) pieces += writer_->Event(choice, event);
      return pieces;
    });
  }

  void OnEnd(size_t choice, Result<Generation> answer) {
    jobs_[choice] = nullptr;  // whose listener holds this
    if (failed_ || exchange_->closed()) return;
    // Nobody hung up: the server stops, and what is written is not what was asked for.
    if (answer && answer->finish == FinishReason::kCancelled) {
      answer = Fail(ErrorCode::kCancelled, "the server is being stopped", "send the request again");
    }
    if (!answer) return OnFailure(answer.error());
    if (stream_) WritePiece([&] { return writer_->End(choice, *answer); });
    answers_[choice] = std::move(*answer);
    if (++ended_ == answers_.size()) Finish();
  }

  void OnFailure(const Error& error) {
    failed_ = true;
    CancelAll();
    exchange_->Note("error", error.what);
    if (!exchange_->begun()) return exchange_->Answer(ErrorAnswer(exchange_->request().path, error));
    WritePiece([&] { return writer_->Failure(error); });
    exchange_->End();
  }

  void Finish() {
    std::vector<Generation> answers;
    int64_t read = 0, reused = 0, written = 0;
    for (std::optional<Generation>& answer : answers_) {
      read += answer->stats.prompt_tokens;
      reused += answer->stats.reused_tokens;
      written += answer->stats.generated_tokens;
      answers.push_back(std::move(*answer));
    }
    exchange_->Note("read", std::to_string(read));
    exchange_->Note("reused", std::to_string(reused));
    exchange_->Note("written", std::to_string(written));
    exchange_->Note("finish", std::string(FinishReasonName(answers.front().finish)));
    if (!stream_) return exchange_->Answer({.body = writer_->Whole(answers)});
    WritePiece([&] { return writer_->Finish(); });
    exchange_->End();
  }

  AnswerFloor floor_;
  ExchangePtr exchange_;
  std::unique_ptr<AnswerWriter> writer_;
  bool stream_, begun_ = false, failed_ = false;
  std::vector<std::string> notes_;
  std::vector<AnswerRequest> requests_;
  std::vector<AnswerJobPtr> jobs_;
  std::vector<std::optional<Generation>> answers_;
  size_t ended_ = 0;
};

}  // namespace

void RefuseToWait(HttpExchange& exchange) {
  exchange.Answer(
      ErrorAnswer(exchange.request().path, 429, "too many requests wait already; try again in a while"));
}

void AnswerExchange(const AnswerFloor& floor, const ExchangePtr& exchange, const Translate& translate) {
  const auto read = [&model = floor.model, translate](const HttpRequest& request) -> Result<Asked> {
    LINNET_ASSIGN(Asked asked, translate(model, request));
    for (AnswerRequest& answer : asked.answers) answer.options.draft = model.draft;
    return asked;
  };
  ReadBeside(floor, exchange, read, [floor, exchange](Asked asked) {
    if (asked.at_once) return exchange->Answer(std::move(*asked.at_once));
    std::make_shared<AnswerRoute>(floor, exchange, std::move(asked))->Begin();
  });
}

}  // namespace linnet
