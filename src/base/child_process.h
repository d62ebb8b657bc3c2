// A helper program that reads one file from its standard input and answers on its standard output.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "linnet/error.h"

namespace linnet {

// Where the running program lies; empty if the system does not say.
std::filesystem::path ProgramDirectory();
// Where what this code was linked into lies: the shared library, or the program again.
std::filesystem::path LibraryDirectory();

class ChildProcess {
 public:
  // The child gets the file as standard input and no other open file of this process; what it writes to
  // standard error is lost. Errors: kNotFound and kBadFile for `input`, kInternal when the program cannot be
  // started.
  static Result<ChildProcess> Start(const std::filesystem::path& program,
                                    const std::vector<std::string>& arguments,
                                    const std::filesystem::path& input);
  // The same with bytes that are in memory as the file.
  static Result<ChildProcess> Start(const std::filesystem::path& program,
                                    const std::vector<std::string>& arguments,
                                    std::span<const uint8_t> input);
  ChildProcess(ChildProcess&& other) noexcept;
  ChildProcess& operator=(ChildProcess&& other) noexcept;
  ~ChildProcess();  // kills it if it still runs

  // Fills `out` from its standard output; fewer bytes only when that was closed. Errors: kBadFile when
  // nothing comes for `patience_seconds`; the child is killed then.
  Result<size_t> Read(std::span<uint8_t> out, double patience_seconds);

  // Asks it to come to an end, as Ctrl-C does.
  void Interrupt();

  // Waits for its end, and says how it ended where that was no success: "was ended by signal 11 (Segmentation
  // fault)".
  std::string Wait();

 private:
  ChildProcess() = default;
  static Result<ChildProcess> StartWith(const std::filesystem::path& program,
                                        const std::vector<std::string>& arguments, int input);
  void Kill();

  int id_ = -1;
  int output_ = -1;
};

}  // namespace linnet
