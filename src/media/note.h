// Private to src/media: what a person should know about a file, as one line.
#pragma once

#include <string>

namespace linnet {

// Puts one more thing to know behind the others, unless it is among them already.
inline void AddNote(std::string& note, const std::string& text) {
  if (text.empty() || note.find(text) != std::string::npos) return;
  if (!note.empty()) note += "; ";
  note += text;
}

}  // namespace linnet
