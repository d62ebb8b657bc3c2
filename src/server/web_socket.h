// A conversation over a WebSocket, without anything of the network.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <utility>

namespace linnet {

// Why a WebSocket is closed (RFC 6455, section 7.4.1).
enum class CloseCode : uint16_t { kNormal = 1000, kGoingAway = 1001, kPolicy = 1008, kTryAgainLater = 1013 };

// The server's side. Messages are text.
//
// Thread safety: the network's thread alone.
class WebSocketTalk {
 public:
  virtual ~WebSocketTalk() = default;

  // A message of the client, whole. The next one is read when `done` has been called, which may be at once.
  virtual void Take(std::string message, bool text, std::function<void()> done) = 0;
  // The server is being stopped: ends the talk when what it works on is done.
  virtual void Stop() = 0;
  // Whether the client waits for something, so that it may be silent for long.
  virtual bool busy() const = 0;
  // Bytes that it keeps of what the client sent.
  virtual size_t held() const = 0;

  // Ends it behind what was sent so far; what is sent afterwards is dropped.
  void End(CloseCode code, std::string reason) {
    if (!outbox_.end) outbox_.end = {code, std::move(reason)};
    if (outbox_.wake) outbox_.wake();
  }

  // For the connection.
  struct Outbox {
    std::deque<std::string> messages;
    size_t bytes = 0;  // of them
    std::optional<std::pair<CloseCode, std::string>> end;
    std::function<void()> wake;  // there is something new
  };
  Outbox& outbox() { return outbox_; }

 protected:
  void Send(std::string message) {
    constexpr size_t kMostUnread = 4 << 20;
    if (outbox_.end) return;
    if (outbox_.bytes > kMostUnread) return End(CloseCode::kPolicy, "what is sent is not read");
    outbox_.bytes += message.size();
    outbox_.messages.push_back(std::move(message));
    if (outbox_.wake) outbox_.wake();
  }

 private:
  Outbox outbox_;
};

}  // namespace linnet
