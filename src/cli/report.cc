#include "cli/report.h"

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <system_error>

#include "base/process.h"
#include "base/terminal.h"
#include "cli/args.h"

namespace linnet {

void SayText(std::string_view text) { static_cast<void>(WriteStream(Stream::kError, text)); }

int Report(const Error& error) {
  Say("linnet: {}\n", error.Message());
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
  Say("\r\033[K{} {:3d} %", what, percent);
}

void ProgressLine::Clear() {
  if (!shown_) return;
  Say("\r\033[K");
  shown_ = false;
  last_percent_ = -1;
}

Progress ProgressLine::AsCallback() {
  return [this](double fraction, std::string_view what) { Show(fraction, what); };
}

Progress ProgressLine::WithTimeLeft() {
  using Clock = std::chrono::steady_clock;
  // A step of the work begins where it says first, which is further on when it was interrupted before.
  return
      [this, start = Clock::now(), first = 2.0, last = 2.0](double fraction, std::string_view what) mutable {
        if (fraction < last) {
          start = Clock::now();
          first = fraction;
        }
        last = fraction;
        const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
        if (seconds < 5 || fraction < first + 0.01) return Show(fraction, what);
        const int64_t left = static_cast<int64_t>(seconds / (fraction - first) * (1 - fraction));
        Show(fraction,
             fmt::format("{}, {} left", what,
                         left >= 60 ? fmt::format("{} min", (left + 30) / 60) : fmt::format("{} s", left)));
      };
}

void Write(std::string_view text) {
  const int error = WriteStream(Stream::kOutput, text);
  if (error == 0) return;
  if (error != EPIPE) {
    Report({ErrorCode::kBadFile,
            fmt::format("standard output cannot be written: {}", std::generic_category().message(error)),
            "make room, or send it somewhere else"});
  }
  RestoreTerminal();
  std::_Exit(kExitFailed);  // worker threads and helpers may be running: nothing is taken down behind them
}

}  // namespace linnet
