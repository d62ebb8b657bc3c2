// How long something took.
#pragma once

#include <chrono>

namespace linnet {

using Clock = std::chrono::steady_clock;

inline double SecondsSince(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

// What body() takes.
template <typename Body>
double SecondsOf(const Body& body) {
  const Clock::time_point begin = Clock::now();
  body();
  return SecondsSince(begin);
}

}  // namespace linnet
