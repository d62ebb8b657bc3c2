// Reads messages from a person at a terminal: editing keys, pastes, history across runs (libedit; which keys
// were pressed is read by terminal_keys.h).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace linnet {

class LineEditor {
 public:
  // `history` is read now and kept up to date; empty = no file. A file that cannot be written is no error.
  // `commands`: what Tab completes where a line begins with it; elsewhere it is a character.
  explicit LineEditor(const std::string& history, std::vector<std::string> commands = {});
  ~LineEditor();
  LineEditor(const LineEditor&) = delete;
  LineEditor& operator=(const LineEditor&) = delete;

  // The line begins as `begun`, to be changed. Without the line end at its end; there are others inside where
  // a text of several lines was pasted, or was written with Shift-Enter or Alt-Enter. nullopt at the end of
  // input (Ctrl-D). Ctrl-C drops the line and gives an empty one.
  std::optional<std::string> ReadLine(const std::string& prompt, const std::string& begun = {});

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// $XDG_STATE_HOME/linnet/history or ~/.local/state/linnet/history, its folder made; empty when there is no
// home.
std::string DefaultHistoryFile();

}  // namespace linnet
