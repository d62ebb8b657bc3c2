// How the subcommands answer, and how they tell a person what went wrong and what is going on.
#pragma once

#include <fmt/core.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "base/printable.h"
#include "linnet/error.h"
#include "linnet/options.h"

namespace linnet {

// To standard error. What cannot be said there (it is closed, the disk is full) is dropped: the answer and
// the exit code do not depend on it.
void SayText(std::string_view text);
template <typename Value>
auto ShownInMessage(const Value& value) {
  if constexpr (std::is_convertible_v<const Value&, std::string_view>) {
    return Printable(value);
  } else {
    return value;
  }
}
// The same with values put in. Texts among them are made printable: names of files and what a model or a file
// says may hold anything.
template <typename... Values>
void Say(fmt::format_string<Values...> format, Values&&... values) {
  SayText(fmt::format(fmt::runtime(fmt::string_view(format)), ShownInMessage(values)...));
}

// Says the error in one line and returns the exit code: wrong use for an invalid argument, failed for the
// rest.
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
  // The same with the time that is left, once it can be told.
  Progress WithTimeLeft();

 private:
  bool terminal_;
  bool shown_ = false;
  int last_percent_ = -1;
  std::string last_what_;
};

// Writes to standard output at once. An answer that cannot be written is worth no more work: the program ends
// with an error, or without a word where the reader has gone (`| head`).
void Write(std::string_view text);

}  // namespace linnet
