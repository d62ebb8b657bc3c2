// The built program at a terminal: keys in, screen out.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace linnet {

class Terminal {
 public:
  // Starts `linnet` with these arguments on a terminal of its own; its state folder is a scratch folder.
  explicit Terminal(const std::vector<std::string>& arguments);
  ~Terminal();  // kills it if it still runs
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  void Type(const std::string& keys);
  // Reads the screen until `text` has come since the last call; false after 20 seconds or when the program
  // ended.
  bool Expect(const std::string& text);
  void Signal(int number);
  // Waits until keys are read one by one, so that none is changed or shown by the terminal itself.
  bool ExpectEditor();
  // The terminal's own, such as whether it shows what is typed: two that are equal are the same.
  std::string Modes() const;
  // Waits for the end: the exit code, 128 + signal, or -1 when it has not ended after 20 seconds.
  int Wait();

  const std::string& screen() const { return screen_; }

 private:
  bool ReadMore(int milliseconds);

  pid_t process_ = -1;
  int terminal_ = -1;
  size_t seen_ = 0;
  std::string screen_;
};

}  // namespace linnet
