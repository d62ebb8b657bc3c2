#include "base/stream_reader.h"

#include <cerrno>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "base/process.h"
#include "base/system_error.h"

namespace linnet {
namespace {

// A signal may come between a look at the flag and the wait, so none lasts longer.
constexpr int kWaitMilliseconds = 100;

}  // namespace

StreamReader::StreamReader(int descriptor, std::string name, bool owned)
    : descriptor_(descriptor), name_(std::move(name)), owned_(owned) {}

StreamReader::StreamReader(StreamReader&& other) noexcept
    : descriptor_(other.descriptor_),
      name_(std::move(other.name_)),
      owned_(std::exchange(other.owned_, false)) {}

StreamReader::~StreamReader() {
  if (owned_) ::close(descriptor_);
}

Result<StreamReader> StreamReader::Open(const std::filesystem::path& path, const std::string& name) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) return CannotOpen(name, errno);
  return StreamReader(descriptor, name, true);
}

StreamReader StreamReader::StandardInput(const std::string& name) {
  return StreamReader(STDIN_FILENO, name, false);
}

Result<size_t> StreamReader::Read(std::span<uint8_t> out) {
  while (!Interrupted()) {
    pollfd wait{.fd = descriptor_, .events = POLLIN, .revents = 0};
    // A FIFO that nobody has opened for writing yet has nothing, and has not ended.
    const int ready = ::poll(&wait, 1, kWaitMilliseconds);
    if (ready == 0 || (ready < 0 && errno == EINTR)) continue;
    const ssize_t count = ::read(descriptor_, out.data(), out.size());
    if (count >= 0) return static_cast<size_t>(count);
    const int error = errno;
    if (error == EINTR || error == EAGAIN) continue;
    return Fail(ErrorCode::kBadFile, name_ + " cannot be read: " + std::generic_category().message(error),
                AdviceFor(error, "give a file"));
  }
  return Fail(ErrorCode::kCancelled, name_ + ": reading was stopped");
}

}  // namespace linnet
