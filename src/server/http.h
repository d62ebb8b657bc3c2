// A request and the way to answer it, without anything of the network.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace linnet {

class WebSocketTalk;

struct HttpRequest {
  std::string method, path, query;                           // the path as it was sent, without the query
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
  std::string body;
  std::string owner;  // stands for the client's key: what is stored belongs to it

  // Empty where there is none; the first of several.
  std::string_view Header(std::string_view name) const;
};

struct HttpAnswer {
  int status = 200;
  std::string type = "application/json";
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers = {};
};

// A request that is being answered: whole, or as a stream of pieces.
//
// Thread safety: the network's thread alone; others hand it what they have with Network::Post().
class HttpExchange {
 public:
  explicit HttpExchange(HttpRequest request) : request_(std::move(request)) {}

  const HttpRequest& request() const { return request_; }
  HttpRequest& request() { return request_; }

  // Once, instead of all that follows.
  void Answer(HttpAnswer answer);
  // The answer comes in pieces. When there was none for some seconds, also before the first, `sign_of_life`
  // is asked for one that says so; it may be empty.
  void Stream(std::string type, std::function<std::string()> sign_of_life);
  void Write(std::string piece);
  void End();
  // Instead of an answer the connection becomes a WebSocket, of this protocol among those that were offered
  // (empty: none). REQUIRES: upgradable().
  void Converse(std::shared_ptr<WebSocketTalk> talk, std::string protocol);
  bool upgradable() const { return upgradable_; }

  // Whether an answer, or the first piece of a stream, is on its way: its status can no longer change.
  bool begun() const { return begun_; }
  bool ended() const { return ended_; }
  // Nobody waits for the answer any more; what is written is dropped.
  bool closed() const { return closed_; }
  void OnClosed(std::function<void()> told) { on_closed_ = std::move(told); }

  // Of the answer, for the log.
  void Note(std::string name, std::string value) { notes_.emplace_back(std::move(name), std::move(value)); }
  const std::vector<std::pair<std::string, std::string>>& notes() const { return notes_; }

  // Of the answer, whole or in pieces, beside its own. Before it begins.
  void AddHeader(std::string name, std::string value) {
    headers_.emplace_back(std::move(name), std::move(value));
  }
  const std::vector<std::pair<std::string, std::string>>& headers() const { return headers_; }

  // For the connection.
  struct Output {
    std::optional<HttpAnswer> answer;
    std::optional<std::string> stream_type;
    std::function<std::string()> sign_of_life;
    std::string pieces;
    std::shared_ptr<WebSocketTalk> talk;
    std::string protocol;
  };
  Output& output() { return output_; }
  void SetWake(std::function<void()> wake) { wake_ = std::move(wake); }
  void SetBegun() { begun_ = true; }
  void SetUpgradable() { upgradable_ = true; }
  void Close();

 private:
  void Wake() const {
    if (wake_) wake_();
  }

  HttpRequest request_;
  Output output_;
  std::function<void()> wake_, on_closed_;
  bool begun_ = false, ended_ = false, closed_ = false, upgradable_ = false;
  std::vector<std::pair<std::string, std::string>> headers_, notes_;
};

using ExchangePtr = std::shared_ptr<HttpExchange>;

inline constexpr char kEventStream[] = "text/event-stream; charset=utf-8";

// Words of the protocol are written in any case.
std::string LowerCase(std::string_view text);
bool BeginsWithWord(std::string_view text, std::string_view word);

}  // namespace linnet
