#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace linnet {

void CheckFailed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "linnet: internal check failed: %s (%s:%d)\n", condition, file, line);
  std::abort();
}

}  // namespace linnet
