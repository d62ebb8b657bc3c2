#include "server/realtime.h"

#include <deque>
#include <utility>

#include "server/realtime_session.h"
#include "server/web_socket.h"

namespace linnet {
namespace {

class RealtimeTalk : public WebSocketTalk, public std::enable_shared_from_this<RealtimeTalk> {
 public:
  RealtimeTalk(const AnswerFloor& floor, const MediaLoader& loader, std::string owner, bool old)
      : floor_(floor), loader_(loader), owner_(std::move(owner)), session_(floor.model.name, old) {
    Send(Dump(session_.Created()));
  }

  void Take(std::string message, bool text, std::function<void()> done) override {
    if (!text || stopping_) {
      const Error error =
          text ? Error{ErrorCode::kCancelled, "the server is being stopped", {}}
               : Error{ErrorCode::kInvalidArgument, "a message is binary", "send JSON as text"};
      Send(Dump(RealtimeError(error, "", "")));
      return done();
    }
    const auto sent = std::make_shared<const std::string>(std::move(message));
    boost::asio::post(floor_.workers, [self = shared_from_this(), sent, waiting = waiting_, done] {
      const auto told = std::make_shared<Result<RealtimeTold>>(
          WithinMemory("this message", "send less at once",
                       [&]() -> Result<RealtimeTold> { return self->session_.Take(*sent, waiting); }));
      self->floor_.network.Post([self, told, done] {
        self->Tell(*told);
        done();
      });
    });
  }

  void Stop() override {
    stopping_ = true;
    Next();
  }
  bool busy() const override { return job_ != nullptr || !items_.empty(); }
  size_t held() const override { return held_ + waiting_; }

  // The client is gone.
  void Close() {
    closed_ = true;
    items_.clear();
    if (job_ != nullptr) job_->Cancel();
    job_ = nullptr;
  }

 private:
  void Tell(Result<RealtimeTold>& told) {
    if (closed_) return;
    if (!told) return Send(Dump(RealtimeError(told.error(), "", "")));
    for (const Json& event : told->events) Send(Dump(event));
    held_ = told->held;
    for (RealtimeItem& item : told->items) {
      waiting_ += item.pcm.size();
      items_.push_back(std::move(item));
    }
    Next();
  }

  // Has the next item written down, unless one is.
  void Next() {
    if (closed_ || job_ != nullptr) return;
    if (items_.empty()) {
      if (stopping_) End(CloseCode::kGoingAway, "the server is being stopped");
      return;
    }
    item_ = std::move(items_.front());
    items_.pop_front();
    transcript_.clear();
    cut_ = 0;
    const std::string wav = WavOfRealtime(item_.pcm);
    SpeechRequest request{.source = MediaSource({wav.begin(), wav.end()}, "the sound"), .owner = owner_};
    request.hint = item_.hint;
    request.options.sampling.temperature = 0.0F;
    SpeechJob::Listener listener;
    const auto self = shared_from_this();
    listener.on_utterance = [self](const Utterance& utterance) { self->OnUtterance(utterance); };
    listener.on_end = [self](const Result<double>& seconds, const std::string& note) {
      self->OnEnd(seconds, note);
    };
    job_ = std::make_shared<SpeechJob>(floor_, loader_, std::move(request), std::move(listener));
    job_->Begin();
  }

  void SendOfItem(const std::string& what, const Json& more) {
    Json members = {{"item_id", item_.id}, {"content_index", 0}};
    members.update(more);
    Send(Dump(RealtimeEvent("conversation.item.input_audio_transcription." + what, members)));
  }

  void OnUtterance(const Utterance& utterance) {
    cut_ += utterance.cut;
    const std::string delta = MoreOfTranscript(transcript_, utterance);
    transcript_ += delta;
    if (!delta.empty()) SendOfItem("delta", {{"delta", delta}});
  }

  void OnEnd(const Result<double>& seconds, const std::string& note) {
    const std::shared_ptr<SpeechJob> ended = std::exchange(job_, nullptr);
    waiting_ -= item_.pcm.size();
    item_.pcm.clear();
    if (closed_) return;
    if (seconds) {
      Json done = {{"transcript", transcript_}, {"usage", ended->Usage()}};
      if (const std::string notes = JoinedNotes(NoteOnCut(cut_), note); !notes.empty()) done["note"] = notes;
      SendOfItem("completed", done);
    } else {
      SendOfItem("failed", {{"error", RealtimeError(seconds.error(), "", "")["error"]}});
    }
    Next();
  }

  AnswerFloor floor_;
  const MediaLoader& loader_;
  std::string owner_;
  RealtimeSession session_;  // a worker's while it takes a message
  size_t held_ = 0, waiting_ = 0;
  std::deque<RealtimeItem> items_;  // that wait
  RealtimeItem item_;               // of job_
  std::shared_ptr<SpeechJob> job_;
  std::string transcript_;
  int64_t cut_ = 0;
  bool stopping_ = false, closed_ = false;
};

bool HasWord(std::string_view list, std::string_view word) {
  for (size_t begin = 0; begin < list.size();) {
    const size_t end = std::min(list.find_first_of(", &", begin), list.size());
    if (list.substr(begin, end - begin) == word) return true;
    begin = end + 1;
  }
  return false;
}

}  // namespace

void RealtimeExchange(const AnswerFloor& floor, const MediaLoader& loader, const ExchangePtr& exchange) {
  const HttpRequest& request = exchange->request();
  const auto refuse = [&](int status, const std::string& message) {
    HttpAnswer answer = ErrorAnswer(request.path, status, message);
    if (status == 426) answer.headers.emplace_back("Upgrade", "websocket");
    exchange->Answer(std::move(answer));
  };
  if (!exchange->upgradable()) return refuse(426, "this is a WebSocket; ask for the upgrade");
  if (!HasWord(request.query, "intent=transcription")) {
    return refuse(400, "there are sessions of transcription alone; connect with ?intent=transcription");
  }
  if (!floor.model.engine.facts().hears) {
    return refuse(400, "this model takes no sound; use one with its multimodal part");
  }
  const std::string_view protocols = request.Header("sec-websocket-protocol");
  const bool old =
      HasWord(request.Header("openai-beta"), "realtime=v1") || HasWord(protocols, "openai-beta.realtime-v1");
  const auto talk = std::make_shared<RealtimeTalk>(floor, loader, request.owner, old);
  exchange->OnClosed([talk] { talk->Close(); });
  exchange->Converse(talk, HasWord(protocols, "realtime") ? "realtime" : "");
}

}  // namespace linnet
