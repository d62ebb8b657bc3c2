// A client for tests: bytes over a socket, as they are.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <string>
#include <string_view>

namespace linnet::testing {

class Client {
 public:
  explicit Client(uint16_t port) : socket_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  }
  ~Client() { Close(); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  bool connected() const { return connected_; }
  void Close() {
    if (socket_ >= 0) close(socket_);
    socket_ = -1;
  }
  // False where the server has closed.
  bool Send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(sent));
    }
    return true;
  }
  // All until `end` has come, or the server has closed, or the time is over.
  std::string ReadUntil(std::string_view end, std::chrono::milliseconds most = std::chrono::seconds(20)) {
    const auto until = std::chrono::steady_clock::now() + most;
    while (end.empty() || read_.find(end) == std::string::npos) {
      const auto left =
          std::chrono::duration_cast<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
      pollfd ready = {socket_, POLLIN, 0};
      if (left.count() <= 0 || poll(&ready, 1, static_cast<int>(left.count())) <= 0) break;
      char piece[4096];
      const ssize_t size = recv(socket_, piece, sizeof piece, 0);
      if (size <= 0) {
        closed_ = true;
        break;
      }
      read_.append(piece, static_cast<size_t>(size));
    }
    const size_t found = end.empty() ? std::string::npos : read_.find(end);
    const size_t size = found == std::string::npos ? read_.size() : found + end.size();
    const std::string taken = read_.substr(0, size);
    read_.erase(0, size);
    return taken;
  }
  std::string ReadAll(std::chrono::milliseconds most = std::chrono::seconds(20)) {
    return ReadUntil({}, most);
  }
  bool closed() const { return closed_; }

 private:
  int socket_;
  bool connected_ = false, closed_ = false;
  std::string read_;
};

// `GET /path` or a POST with its length.
inline std::string HttpText(const std::string& method, const std::string& path, const std::string& body = {},
                            const std::string& more = {}) {
  std::string text = method + " " + path + " HTTP/1.1\r\nHost: localhost\r\n" + more;
  if (method == "POST") {
    text += "Content-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) + "\r\n";
  }
  return text + "\r\n" + body;
}

inline std::string BodyOf(const std::string& answer) {
  const size_t begin = answer.find("\r\n\r\n");
  return begin == std::string::npos ? std::string() : answer.substr(begin + 4);
}

}  // namespace linnet::testing
