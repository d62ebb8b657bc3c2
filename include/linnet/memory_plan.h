// What a model will take of memory, line by line, known before anything of it is loaded.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

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

}  // namespace linnet
