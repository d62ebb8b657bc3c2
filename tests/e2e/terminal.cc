#include "terminal.h"

#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>

#include "program.h"

namespace linnet {
namespace {

constexpr std::chrono::seconds kPatience{20};
using Clock = std::chrono::steady_clock;

}  // namespace

Terminal::Terminal(const std::vector<std::string>& arguments) {
  const std::string state = Scratch("state");
  winsize size{.ws_row = 40, .ws_col = 200, .ws_xpixel = 0, .ws_ypixel = 0};
  process_ = forkpty(&terminal_, nullptr, nullptr, &size);
  if (process_ != 0) return;
  std::vector<char*> words = {const_cast<char*>("linnet")};
  for (const std::string& word : arguments) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  setenv("XDG_STATE_HOME", state.c_str(), 1);
  setenv("LC_ALL", "C.UTF-8", 1);
  setenv("TERM", "xterm", 1);
  execv(LINNET_PROGRAM, words.data());
  _exit(127);
}

Terminal::~Terminal() {
  if (process_ > 0) {
    kill(process_, SIGKILL);
    waitpid(process_, nullptr, 0);
  }
  close(terminal_);
}

void Terminal::Type(const std::string& keys) {
  const ssize_t written = write(terminal_, keys.data(), keys.size());
  static_cast<void>(written);
}

bool Terminal::ReadMore(int milliseconds) {
  pollfd wait{.fd = terminal_, .events = POLLIN, .revents = 0};
  if (poll(&wait, 1, milliseconds) <= 0) return true;
  char buffer[4096];
  const ssize_t count = read(terminal_, buffer, sizeof buffer);
  if (count <= 0) return false;
  screen_.append(buffer, static_cast<size_t>(count));
  return true;
}

bool Terminal::Expect(const std::string& text) {
  const auto end = Clock::now() + kPatience;
  while (Clock::now() < end) {
    const size_t at = screen_.find(text, seen_);
    if (at != std::string::npos) {
      seen_ = at + text.size();
      return true;
    }
    if (!ReadMore(100)) return false;
  }
  return false;
}

void Terminal::Signal(int number) { kill(process_, number); }

bool Terminal::ExpectEditor() {
  for (const auto end = Clock::now() + kPatience; Clock::now() < end; ReadMore(1)) {
    termios modes{};
    if (tcgetattr(terminal_, &modes) == 0 && (modes.c_lflag & ICANON) == 0) return true;
  }
  return false;
}

std::string Terminal::Modes() const {
  termios modes{};
  tcgetattr(terminal_, &modes);
  return std::to_string(modes.c_iflag) + " " + std::to_string(modes.c_oflag) + " " +
         std::to_string(modes.c_lflag);
}

int Terminal::Wait() {
  const auto end = Clock::now() + kPatience;
  while (Clock::now() < end) {
    int status = 0;
    ReadMore(20);
    if (waitpid(process_, &status, WNOHANG) != process_) continue;
    process_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  return -1;
}

}  // namespace linnet
