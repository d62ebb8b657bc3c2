// For tests of protocols: the built-in model, requests to translate, and a server that answers them.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <condition_variable>
#include <csignal>
#include <fstream>
#include <iterator>
#include <memory>
#include <mutex>
#include <optional>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "runtime/engine_impl.h"
#include "server/protocol.h"
#include "server/server.h"
#include "server/socket_testing.h"

namespace linnet::testing {

inline Engine& Chick() {
  static const std::unique_ptr<Engine> engine = [] {
    LoadOptions options;
    options.threads = 1;
    auto loaded = Engine::Load(options);
    EXPECT_TRUE(loaded.has_value());
    return std::move(*loaded);
  }();
  return *engine;
}

inline const MediaLoader& Loader() {
  static const MediaLoader loader({.sandbox = false});
  return loader;
}

inline const ServedModel& ChickServed() {
  static const MediaReader media(Loader(), Chick().impl().config, 1024, {});
  static Grammars grammars(Chick());
  static const ServedModel model{Chick(), "chick", 1024, 1'800'000'000, media, grammars};
  return model;
}

inline Result<Asked> Translated(const Translate& translate, const Json& body,
                                const std::string& path = "/v1") {
  return translate(
      ChickServed(),
      {.method = "POST", .path = path, .query = {}, .headers = {}, .body = Dump(body), .owner = "o"});
}

// What the prompt of the first answer says, with its markers.
inline std::string PromptOf(const Asked& asked) {
  return Chick().Text(asked.answers.front().prepared.prompt->ids);
}

inline std::string WhatIsWrong(const Translate& translate, const Json& body) {
  const Result<Asked> asked = Translated(translate, body);
  return asked ? "nothing" : asked.error().what;
}

inline std::string Base64(const std::string& bytes) {
  static constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t group = 0;
    for (size_t j = 0; j < 3; ++j) {
      group = group << 8 | (i + j < bytes.size() ? static_cast<uint8_t>(bytes[i + j]) : 0);
    }
    for (size_t j = 0; j < 4; ++j) {
      text += i + j > bytes.size() ? '=' : kDigits[group >> (18 - 6 * j) & 63];
    }
  }
  return text;
}

inline std::string FileInBase64(const std::string& path) {
  std::ifstream in(std::string(LINNET_SOURCE_DIR "/") + path, std::ios::binary);
  EXPECT_TRUE(in.good()) << path;
  return Base64({std::istreambuf_iterator<char>(in), {}});
}

// The pieces of an event stream: names (empty where there is none) and data.
struct StreamEvent {
  std::string name;
  Json data;
};
inline std::vector<StreamEvent> EventsOf(const std::string& stream) {
  std::vector<StreamEvent> events;
  std::istringstream in(stream);
  StreamEvent event;
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("event: ")) event.name = line.substr(7);
    if (line.starts_with("data: ")) event.data = Json::parse(line.substr(6), nullptr, false);
    if (line.empty() && !event.data.is_null()) events.push_back(std::exchange(event, {}));
  }
  return events;
}

inline std::vector<Json> LinesOf(const std::string& stream) {
  std::vector<Json> lines;
  std::istringstream in(stream);
  for (std::string line; std::getline(in, line);) lines.push_back(Json::parse(line, nullptr, false));
  return lines;
}

struct Reply {
  int status = 0;
  std::string head, body;
  Json json() const { return Json::parse(body, nullptr, false); }
};

// The whole server with Chick, at a port of its own.
class ChickServer {
 public:
  explicit ChickServer(ServerOptions options = Quiet(), const MediaLoader& loader = Loader())
      : options_(std::move(options)) {
    options_.port = 0;
    options_.model_name = "chick";
    options_.on_ready = [this](const std::string& address, int64_t) {
      const std::lock_guard lock(mutex_);
      port_ = std::stoi(address.substr(address.rfind(':') + 1));
      ready_.notify_all();
    };
    thread_ = std::thread([this, &loader] {
      const Status served = Serve(Chick(), loader, options_);
      EXPECT_TRUE(served.has_value()) << served.error().Message();
      const std::lock_guard lock(mutex_);
      if (port_ == 0) port_ = -1;
      ready_.notify_all();
    });
    std::unique_lock lock(mutex_);
    ready_.wait(lock, [this] { return port_ != 0; });
  }
  ~ChickServer() {
    if (thread_.joinable()) kill(getpid(), SIGTERM);
    Wait();
  }

  static ServerOptions Quiet() {
    ServerOptions options;
    options.log_requests = false;
    options.session.context = 1024;
    return options;
  }
  uint16_t port() const { return static_cast<uint16_t>(port_); }
  // Until it has ended.
  void Wait() {
    if (thread_.joinable()) thread_.join();
  }

  Reply Post(const std::string& path, const Json& body) const { return Ask("POST", path, Dump(body)); }
  Reply Ask(const std::string& method, const std::string& path, const std::string& body = {}) const {
    Client client(port());
    EXPECT_TRUE(client.Send(
        HttpText(method, path, body, "Connection: close\r\nAuthorization: Bearer " + key + "\r\n")));
    return Parse(client.ReadAll());
  }
  // As it is, to a connection that is closed afterwards.
  Reply Send(const std::string& request) const {
    Client client(port());
    EXPECT_TRUE(client.Send(request));
    return Parse(client.ReadAll());
  }

  std::string key = "k";

 private:
  static Reply Parse(const std::string& all) {
    const size_t end = all.find("\r\n\r\n");
    if (end == std::string::npos) return {};
    Reply reply{std::stoi(all.substr(9, 3)), all.substr(0, end), all.substr(end + 4)};
    if (reply.head.find("chunked") == std::string::npos) return reply;
    std::string whole;
    for (size_t at = 0; at < reply.body.size();) {
      const size_t line = reply.body.find("\r\n", at);
      if (line == std::string::npos) break;
      const size_t size = std::stoul(reply.body.substr(at, line - at), nullptr, 16);
      if (size == 0) break;
      whole += reply.body.substr(line + 2, size);
      at = line + 2 + size + 2;
    }
    reply.body = std::move(whole);
    return reply;
  }

  ServerOptions options_;
  std::mutex mutex_;
  std::condition_variable ready_;
  int port_ = 0;
  std::thread thread_;
};

}  // namespace linnet::testing
