// The terminal that a person types at: standard input and output.
#pragma once

#include <cstdint>
#include <deque>

namespace linnet {

// While one exists the terminal marks what is pasted (bracketed paste). Its modes are as before when this
// ends, also when the process is ended by a signal. Only one at a time.
class TerminalGuard {
 public:
  TerminalGuard();
  ~TerminalGuard();
  TerminalGuard(const TerminalGuard&) = delete;
  TerminalGuard& operator=(const TerminalGuard&) = delete;
};

// What ~TerminalGuard does, for who ends the process. Does nothing without one. May be called by a signal
// handler.
void RestoreTerminal();

// Bytes of standard input, one by one: what is typed ahead stays with the system, where Ctrl-C can still
// reach it.
class TerminalInput {
 public:
  static constexpr int kEnd = -1, kNothing = -2;

  // The next byte, kEnd, or kNothing when none came for so long; below 0 waits for ever.
  int Next(int milliseconds = -1);
  // Gives back what Next returned.
  void Unread(int byte);
  // While much comes at once, as in a paste.
  void SetGreedy(bool greedy) { greedy_ = greedy; }

 private:
  bool greedy_ = false;
  std::deque<uint8_t> waiting_;
};

}  // namespace linnet
