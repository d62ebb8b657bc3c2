// Which Linnet this is, and what it runs on.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "linnet/error.h"
#include "linnet/export.h"

namespace linnet {

LINNET_API std::string_view Version();  // "0.1.0"

struct KernelFacts {
  std::string used;                    // the best that this processor runs, or what LINNET_ISA names
  std::vector<std::string> supported;  // by this processor, the best first
  Status usable;                       // kInvalidArgument: LINNET_ISA names one that cannot be
};
LINNET_API KernelFacts DescribeKernels();

}  // namespace linnet
