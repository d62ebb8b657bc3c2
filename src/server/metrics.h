// What the server tells of itself, in the form that Prometheus reads.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "server/answer_service.h"

namespace linnet {

// Thread safety: one thread at a time.
class ServerMetrics {
 public:
  ServerMetrics();
  ~ServerMetrics();

  void Count(const std::string& route, int status, double seconds);
  std::string Text(const AnswerCounts& counts, int64_t connections);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace linnet
