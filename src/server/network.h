// The network: listens, reads requests within limits, and writes their answers. One thread does all of it.
//
// What a stranger can send is bounded before it is read: the header by its size and time, the body by its
// length and time, all bodies together by their sum, connections by their number. Whether a request may come
// in is decided by its header alone. Bodies are framed by one rule or refused, so that nothing behind a
// request is taken for another.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "linnet/error.h"
#include "server/http.h"

namespace linnet {

struct NetworkLimits {
  uint64_t header_bytes = 64 << 10;
  uint64_t body_bytes = 64 << 20;
  uint64_t all_bodies = 256 << 20;  // that are being read or answered
  int64_t connections = 1024;
  std::chrono::milliseconds idle{75'000};    // between two requests
  std::chrono::milliseconds header{10'000};  // until a header that has begun is whole
  std::chrono::milliseconds body{30'000};    // and a second more for each 64 KB of it
  std::chrono::milliseconds write{30'000};   // until a client takes a piece of an answer
  std::chrono::milliseconds sign_of_life{5'000};
  // Of a WebSocket: one message, and body_bytes at most; how long its client may be silent and wait for
  // nothing; how long until it is asked whether it is still there, and until it must have answered.
  uint64_t talk_message = 16 << 20;
  std::chrono::milliseconds talk_idle{900'000};
  std::chrono::milliseconds talk_ping{20'000};
};

// What is asked of the floors above about a request.
struct HttpHandlers {
  // Of the header alone: the answer that refuses it, or nothing. `most` is what its body may have at most.
  std::function<std::optional<HttpAnswer>(HttpRequest& request, uint64_t& most)> admit;
  std::function<void(ExchangePtr)> handle;
  // An error of the transport, in the form of the protocol that the path belongs to.
  std::function<HttpAnswer(const HttpRequest& request, int status, std::string message)> refuse;
  // The exchange is over: answered or given up.
  std::function<void(const HttpExchange&, int status, std::chrono::nanoseconds)> done;
};

class Network {
 public:
  Network(NetworkLimits limits, HttpHandlers handlers);
  ~Network();

  // Errors: kInvalidArgument, an address that is none or is taken.
  Status ListenTcp(const std::string& host, uint16_t port);
  // Replaces a socket that nobody listens at any more. Only this user may connect.
  Status ListenUnix(const std::string& path);
  // From now on connections are encrypted: files in PEM. Errors: kBadFile; all stays as it was then.
  Status UseTls(const std::string& certificates, const std::string& key);
  // Of the first TCP socket: what was chosen for port 0.
  uint16_t port() const;

  // Until StopNow().
  void Run();
  // From any thread.
  void Post(std::function<void()> task);
  // Calls `told` on the network's thread for each of these signals.
  void OnSignals(const std::vector<int>& signals, std::function<void(int signal)> told);
  // Calls it on the network's thread after that time.
  void After(std::chrono::milliseconds delay, std::function<void()> task);

  // On the network's thread. Connections that wait for a request are closed.
  void StopListening();
  // All exchanges are given up.
  void StopNow();
  int64_t connections() const;

  struct Impl;

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace linnet
