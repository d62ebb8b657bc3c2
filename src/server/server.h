// linnet serve: one engine for every client that knows a protocol of the field.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "linnet/engine.h"
#include "linnet/error.h"
#include "linnet/media.h"
#include "server/network.h"

namespace linnet {

struct ServerOptions {
  std::string host = "127.0.0.1";
  uint16_t port = 8080;     // 0 = one that is free
  std::string unix_socket;  // instead of host and port
  SessionOptions session;
  int64_t parallel = 4, queue = 64;
  int64_t cache_tokens = 0;  // AnswerServiceOptions::tokens
  std::string api_key_file, api_key;      // both empty: any key will do, at a loopback address only
  std::string tls_certificates, tls_key;  // files in PEM; empty: plain
  std::vector<std::string> allowed_hosts, allowed_origins;
  std::string media_root;
  std::string store;       // file of what /v1/responses stores; empty: in memory
  int32_t draft = -1;      // as GenerateOptions
  std::string model_name;  // as answers call it
  std::chrono::seconds grace{30};
  NetworkLimits limits;
  bool log_requests = true;

  std::function<void(const std::string& address, int64_t context)> on_ready;
  std::function<void(const std::string& line)> log;
};

// Serves until SIGINT or SIGTERM: then it takes nothing new, and running answers end within the grace. SIGHUP
// reads the keys again. Errors: kInvalidArgument, where it cannot listen, or would without a key where others
// reach it; those of ApiKeys::Read, ResponseStore::Open
// and Engine::NewSession.
Status Serve(Engine& engine, const MediaLoader& loader, const ServerOptions& options);

}  // namespace linnet
