// Reads what may come slowly or never: standard input, a FIFO, a pipe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

#include "linnet/error.h"

namespace linnet {

class StreamReader {
 public:
  // Does not wait for the other end of a FIFO. Errors: kNotFound, kBadFile.
  static Result<StreamReader> Open(const std::filesystem::path& path, const std::string& name);
  // `name` is for messages.
  static StreamReader StandardInput(const std::string& name);

  StreamReader(StreamReader&& other) noexcept;
  StreamReader& operator=(StreamReader&&) = delete;
  ~StreamReader();

  // Waits until there is something, and gives what is there; 0 at the end. While an InterruptGuard exists the
  // first Ctrl-C ends the wait: kCancelled. Other errors: kBadFile.
  Result<size_t> Read(std::span<uint8_t> out);

 private:
  StreamReader(int descriptor, std::string name, bool owned);

  int descriptor_;
  std::string name_;
  bool owned_;
};

}  // namespace linnet
