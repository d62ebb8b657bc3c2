// What the processor can do and how many of it there are.
#pragma once

#include <string>

#include "linnet/error.h"

namespace linnet {

struct CpuInfo {
  bool avx2 = false;  // with FMA and F16C
  bool avx_vnni = false;
  bool avx512 = false;  // F, BW, DQ, VL
  bool avx512_vnni = false;
  bool avx512_bf16 = false;  // with the former
  bool amd = false;          // by the vendor
  bool neon_dot = false;     // FEAT_DotProd
  bool neon_i8mm = false;    // FEAT_I8MM, with the former
  int processors = 1;        // that this process may run on
  int cores =
      1;  // threads that pay off: what `-t auto` takes (base/cpu_topology.h; macOS: the performance cores)
  std::string name;  // as the system names it; may be empty
};

// Read once; the same reference every time.
const CpuInfo& GetCpuInfo();

// The threads that somebody asks for (as LoadOptions::threads). Errors: kInvalidArgument.
Result<int> ThreadCount(int wanted);

}  // namespace linnet
