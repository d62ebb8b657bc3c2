#include "base/terminal.h"

#include <poll.h>
#include <signal.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <string_view>

namespace linnet {
namespace {

constexpr std::string_view kMarkPastes = "\033[?2004h", kMarkPastesNoMore = "\033[?2004l";
constexpr std::array<int, 3> kEnding = {SIGTERM, SIGHUP, SIGQUIT};

std::atomic<bool> active{false};
bool marks_pastes = false;
termios earlier_modes;
std::array<struct sigaction, kEnding.size()> earlier_actions;

void Send(std::string_view sequence) {
  const ssize_t written = write(STDOUT_FILENO, sequence.data(), sequence.size());
  static_cast<void>(written);
}

void OnEnding(int number) {
  RestoreTerminal();
  raise(number);  // the action is the default again, and it is not blocked
}

}  // namespace

TerminalGuard::TerminalGuard() {
  if (tcgetattr(STDIN_FILENO, &earlier_modes) != 0) return;
  const char* kind = std::getenv("TERM");
  marks_pastes = isatty(STDOUT_FILENO) == 1 && kind != nullptr && std::string_view(kind) != "dumb";
  active = true;
  // Between lines the editor leaves the terminal as it found it. Line by line it would drop what is pasted
  // beyond 4096 bytes before the next line is read.
  termios modes = earlier_modes;
  modes.c_lflag &= ~static_cast<tcflag_t>(ICANON);
  modes.c_cc[VMIN] = 1;
  modes.c_cc[VTIME] = 0;
  tcsetattr(STDIN_FILENO, TCSANOW, &modes);
  if (marks_pastes) Send(kMarkPastes);
  for (size_t i = 0; i < kEnding.size(); ++i) {
    struct sigaction action{};
    action.sa_handler = OnEnding;
    action.sa_flags = SA_RESETHAND | SA_NODEFER;
    sigemptyset(&action.sa_mask);
    sigaction(kEnding[i], &action, &earlier_actions[i]);
    if (earlier_actions[i].sa_handler == SIG_IGN) sigaction(kEnding[i], &earlier_actions[i], nullptr);
  }
}

TerminalGuard::~TerminalGuard() {
  if (!active) return;
  RestoreTerminal();
  for (size_t i = 0; i < kEnding.size(); ++i) sigaction(kEnding[i], &earlier_actions[i], nullptr);
}

void RestoreTerminal() {
  if (!active.exchange(false)) return;
  if (marks_pastes) Send(kMarkPastesNoMore);
  // In the background the terminal is somebody else's.
  if (tcgetpgrp(STDIN_FILENO) == getpgrp()) tcsetattr(STDIN_FILENO, TCSADRAIN, &earlier_modes);
}

int TerminalInput::Next(int milliseconds) {
  while (waiting_.empty()) {
    pollfd wait{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
    const int ready = poll(&wait, 1, milliseconds);
    if (ready == 0) return kNothing;
    std::array<uint8_t, 4096> bytes;
    const ssize_t count = ready < 0 ? -1 : read(STDIN_FILENO, bytes.data(), greedy_ ? bytes.size() : 1);
    if (count < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (count <= 0) return kEnd;
    waiting_.insert(waiting_.end(), bytes.begin(), bytes.begin() + count);
  }
  const int byte = waiting_.front();
  waiting_.pop_front();
  return byte;
}

void TerminalInput::Unread(int byte) {
  if (byte >= 0) waiting_.push_front(static_cast<uint8_t>(byte));
}

}  // namespace linnet
