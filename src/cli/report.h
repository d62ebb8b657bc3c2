// How the subcommands tell a person what went wrong and what is going on. Everything here goes to standard
// error.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "linnet/error.h"
#include "linnet/options.h"

namespace linnet {

// Prints one line and returns the exit code: wrong use for an invalid argument, failed for the rest.
int Report(const Error& error);

// A line that is rewritten while something takes long; nothing when standard error is not a terminal.
class ProgressLine {
 public:
  ProgressLine();
  ~ProgressLine();
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  void Show(double fraction, std::string_view what);
  void Clear();
  Progress AsCallback();

 private:
  bool terminal_;
  bool shown_ = false;
  int last_percent_ = -1;
  std::string last_what_;
};

// "1.2 GB", "340 MB", "12 kB": decimal units.
std::string HumanBytes(uint64_t bytes);

// Writes to standard output at once. What cannot be written is noticed by FlushOutput.
void Write(std::string_view text);
// The exit code: failed when standard output has not taken everything (a full disk).
int FlushOutput();

}  // namespace linnet
