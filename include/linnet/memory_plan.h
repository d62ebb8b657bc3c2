// What a model will take of memory, line by line, known before anything of it is loaded.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "linnet/error.h"
#include "linnet/export.h"
#include "linnet/options.h"

namespace linnet {

struct MemoryPlan {
  struct Line {
    std::string name;  // "weights"
    uint64_t bytes = 0;
    bool mapped = false;  // pages of a file, which the system may take back and read again
  };

  std::vector<Line> lines;

  uint64_t total() const {
    uint64_t sum = 0;
    for (const Line& line : lines) sum += line.bytes;
    return sum;
  }
};

// Of a model that is loaded with these options, for so many conversations with full caches, a picture of the
// model's own number of tokens and 30 s of sound. The program itself is not counted. Only the heads of the
// files are read. Errors: those of Engine::Load and Engine::NewSession.
LINNET_API Result<MemoryPlan> PlanMemory(const LoadOptions& load, const SessionOptions& session = {},
                                         int64_t conversations = 1);

}  // namespace linnet
