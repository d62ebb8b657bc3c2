// What a model will take of memory, line by line, and what there is for it: known before anything is loaded.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "linnet/error.h"
#include "linnet/export.h"
#include "linnet/options.h"

namespace linnet {

// One limit on what this process can have.
struct MemoryLimit {
  enum class Kind {
    kMachine,       // its memory, less what others hold
    kControlGroup,  // of this process, or one that holds it
    kAddressSpace,  // `ulimit -v`, `ulimit -d`
    kAsked,         // a machine that is only planned for
  };
  Kind kind = Kind::kMachine;
  std::string name;        // "control group /job, memory.max"
  uint64_t bytes = 0;      // the limit
  uint64_t available = 0;  // what is left of it now, with the file cache that the system would give back
};
// All that the system tells of; empty where it tells nothing.
LINNET_API std::vector<MemoryLimit> MemoryLimits();

struct MemoryPlan {
  using Line = MemoryLine;

  std::vector<Line> lines;
  uint64_t addresses = 0;  // beside the lines: what is reserved for a moment, or not used

  uint64_t total() const {
    uint64_t sum = 0;
    for (const Line& line : lines) sum += line.bytes;
    return sum;
  }
  // What is still to be taken of a limit: files are mapped already where address space is limited.
  uint64_t Needed(MemoryLimit::Kind kind) const {
    const bool of_addresses = kind == MemoryLimit::Kind::kAddressSpace;
    uint64_t sum = of_addresses ? addresses : 0;
    for (const Line& line : lines) {
      const bool taken = line.held || (line.mapped && of_addresses);
      if (!taken) sum += line.bytes;
    }
    return sum;
  }
};

// A change that makes a plan fit.
struct MemoryRemedy {
  std::string change;  // "--context 4096 --kv int8", or "a Q4_0 file of this model"
  uint64_t saves = 0;
};

// A plan beside the limits.
struct MemoryFit {
  MemoryPlan plan;
  MemoryLimit tightest;  // the limit that leaves least beside the plan; its name is empty where there is none
  int64_t headroom = 0;  // what it leaves; below 0 what is missing
  int64_t context = 0;   // of each conversation: as asked, or the usual
  int64_t largest_context = 0;         // that fits with all else as asked; 0 = none
  std::vector<MemoryRemedy> remedies;  // at most three, each of which suffices; none where all fits

  bool fits() const { return headroom >= 0; }
};

// Of a model that is loaded with these options, for so many conversations with full caches, a picture of the
// model's own number of tokens and 30 s of sound. The program itself is not counted. Only the heads of the
// files are read. Errors: those of Engine::Load and Engine::NewSession.
LINNET_API Result<MemoryPlan> PlanMemory(const LoadOptions& load, const SessionOptions& session = {},
                                         int64_t conversations = 1);

// What Engine::Load decides by, for LoadOptions::use (without it: one usual conversation), on this machine as
// it is now. Errors: as above.
LINNET_API Result<MemoryFit> FitMemory(const LoadOptions& load);

}  // namespace linnet
