// Private to src/media: a helper program that is running, and the messages it sends (wire.h). What it says is
// not trusted.
#pragma once

#include <cstdint>
#include <expected>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/child_process.h"
#include "linnet/error.h"
#include "media/audio.h"
#include "media/media_loader.h"
#include "media/sample_queue.h"

namespace linnet::media_internal {

inline constexpr int kAllGranted = 7;  // the three flags of SandboxState in a greeting

struct Message {
  char kind = 'Z';
  std::vector<uint8_t> payload;
};

std::unexpected<Error> DamagedAnswer();

// A process with the source as its standard input.
Result<ChildProcess> StartWith(const std::filesystem::path& program,
                               const std::vector<std::string>& arguments, const MediaSource& source);

class Helper {
 public:
  // `patience`: seconds without a sign until it is taken to hang.
  static Result<Helper> Start(const std::filesystem::path& program, const std::vector<std::string>& arguments,
                              const MediaSource& source, double patience);

  // The next message with a payload of at most `limit` bytes. The helper's own errors come back as errors.
  Result<Message> Next(uint64_t limit);
  // The same, and it must be of this kind.
  Result<Message> Expect(char kind, uint64_t limit);
  // What the system granted: flags as of kAllGranted.
  Result<int> Greeting();

  ChildProcess& process() { return child_; }

 private:
  Helper(ChildProcess child, double patience) : child_(std::move(child)), patience_(patience) {}
  std::unexpected<Error> Died();

  ChildProcess child_;
  double patience_;
};

// Samples of an S message; what is not usable becomes 0.
std::vector<float> ToSamples(const Message& message);

// A sound that a helper sends: I, S and R again and again, N.
class HelperSound : public MonoSource {
 public:
  static Result<std::unique_ptr<HelperSound>> Open(Helper helper);

  const AudioInfo& info() const override { return info_; }
  int64_t rate() const override { return rate_; }
  int64_t replaced() const override { return replaced_; }
  Result<size_t> Read(std::span<float> out) override {
    return samples_.ReadSome(out, [this] { return Refill(); });
  }
  // Called before each wait for a message; may speak to the process.
  void OnWait(std::function<void(ChildProcess&)> on_wait) { on_wait_ = std::move(on_wait); }

 private:
  explicit HelperSound(Helper helper) : helper_(std::move(helper)) {}
  Status Refill();

  Helper helper_;
  AudioInfo info_;
  SampleQueue samples_;
  int64_t rate_ = 0, replaced_ = 0;
  std::function<void(ChildProcess&)> on_wait_;
};

// A program of ours: named by the environment variable, beside this program or library, in ../libexec/linnet
// from there, or where this build is meant to be installed. Empty if it is nowhere.
std::filesystem::path FindProgram(const std::string& name, const char* variable);

}  // namespace linnet::media_internal
