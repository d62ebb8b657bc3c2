// Checks of our own invariants. A failing check is a defect of Linnet, never a reaction to input: input
// errors are `linnet::Error` (linnet/error.h).
#pragma once

namespace linnet {
[[noreturn]] void CheckFailed(const char* condition, const char* file, int line);
}

#define LINNET_CHECK(condition)                              \
  do {                                                       \
    if (!(condition)) [[unlikely]]                           \
      ::linnet::CheckFailed(#condition, __FILE__, __LINE__); \
  } while (false)

#ifdef NDEBUG
#define LINNET_DCHECK(condition) static_cast<void>(0)
#else
#define LINNET_DCHECK(condition) LINNET_CHECK(condition)
#endif
