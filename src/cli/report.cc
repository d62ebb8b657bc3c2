#include "cli/report.h"

#include <fmt/core.h>

#include <cstdio>

#include "base/printable.h"
#include "base/process.h"
#include "cli/args.h"

namespace linnet {

int Report(const Error& error) {
  fmt::print(stderr, "linnet: {}\n", Printable(error.Message()));
  return error.code == ErrorCode::kInvalidArgument ? kExitWrongUse : kExitFailed;
}

ProgressLine::ProgressLine() : terminal_(IsTerminal(Stream::kError)) {}

ProgressLine::~ProgressLine() { Clear(); }

void ProgressLine::Show(double fraction, std::string_view what) {
  if (!terminal_) return;
  const int percent = static_cast<int>(fraction * 100.0);
  if (percent == last_percent_ && what == last_what_) return;
  last_percent_ = percent;
  last_what_ = what;
  shown_ = true;
  fmt::print(stderr, "\r\033[K{} {:3d} %", what, percent);
  std::fflush(stderr);
}

void ProgressLine::Clear() {
  if (!shown_) return;
  fmt::print(stderr, "\r\033[K");
  std::fflush(stderr);
  shown_ = false;
  last_percent_ = -1;
}

Progress ProgressLine::AsCallback() {
  return [this](double fraction, std::string_view what) { Show(fraction, what); };
}

std::string HumanBytes(uint64_t bytes) {
  const double value = static_cast<double>(bytes);
  if (value >= 1e9) return fmt::format("{:.2f} GB", value / 1e9);
  if (value >= 1e6) return fmt::format("{:.1f} MB", value / 1e6);
  if (value >= 1e3) return fmt::format("{:.1f} kB", value / 1e3);
  return fmt::format("{} bytes", bytes);
}

void Write(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

int FlushOutput() {
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return kExitDone;
  fmt::print(stderr, "linnet: standard output could not be written; is the disk full?\n");
  return kExitFailed;
}

}  // namespace linnet
