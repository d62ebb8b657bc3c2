#include "base/child_process.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <memory>
#include <utility>

#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/system_error.h"

extern char** environ;

namespace linnet {
namespace {

// A descriptor that is closed at the end of its scope.
class Descriptor {
 public:
  explicit Descriptor(int number = -1) : number_(number) {}
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return number_; }
  int Release() { return std::exchange(number_, -1); }

 private:
  int number_;
};

int Spawn(const std::filesystem::path& program, const std::vector<std::string>& arguments, int input,
          int output, pid_t& id) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
#ifdef __GLIBC__
  posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
#endif
  std::vector<std::string> words = {program.string()};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  const int error = posix_spawn(&id, program.c_str(), &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  return error;
}

}  // namespace

std::filesystem::path ProgramDirectory() {
  std::error_code error;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", error);
  return error ? std::filesystem::path() : program.parent_path();
}

std::filesystem::path LibraryDirectory() {
  Dl_info info{};
  if (::dladdr(reinterpret_cast<const void*>(&LibraryDirectory), &info) == 0) return {};
  std::error_code error;
  const auto library = std::filesystem::canonical(info.dli_fname, error);
  return error ? std::filesystem::path() : library.parent_path();
}

Result<ChildProcess> ChildProcess::Start(const std::filesystem::path& program,
                                         const std::vector<std::string>& arguments,
                                         const std::filesystem::path& input) {
  const Descriptor file(::open(input.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.get() < 0) return CannotOpen(input.string(), errno);
  struct stat info{};
  if (::fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode)) {
    return Fail(ErrorCode::kBadFile, input.string() + ": is not a regular file", "give a file");
  }
  return StartWith(program, arguments, file.get());
}

Result<ChildProcess> ChildProcess::Start(const std::filesystem::path& program,
                                         const std::vector<std::string>& arguments,
                                         std::span<const uint8_t> input) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::tmpfile(), std::fclose);
  const bool written = file != nullptr && (input.empty() || std::fwrite(input.data(), 1, input.size(),
                                                                        file.get()) == input.size());
  if (!written || std::fflush(file.get()) != 0 || ::lseek(::fileno(file.get()), 0, SEEK_SET) != 0) {
    return Fail(ErrorCode::kInternal, std::string("no temporary file: ") + std::strerror(errno),
                AdviceFor(errno, "make room in the directory for temporary files"));
  }
  return StartWith(program, arguments, ::fileno(file.get()));
}

Result<ChildProcess> ChildProcess::StartWith(const std::filesystem::path& program,
                                             const std::vector<std::string>& arguments, int input) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) {
    return Fail(ErrorCode::kInternal, fmt::format("no pipe: {}", std::strerror(errno)), AdviceFor(errno, ""));
  }
  Descriptor read_end(ends[0]);
  const Descriptor write_end(ends[1]);
  pid_t id = -1;
  if (const int error = Spawn(program, arguments, input, write_end.get(), id); error != 0) {
    return Fail(ErrorCode::kInternal,
                fmt::format("cannot start {}: {}", program.string(), std::strerror(error)),
                error == EMFILE || error == ENFILE ? AdviceFor(error, "") : "");
  }
  ChildProcess child;
  child.id_ = id;
  child.output_ = read_end.Release();
  return child;
}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept { *this = std::move(other); }

ChildProcess& ChildProcess::operator=(ChildProcess&& other) noexcept {
  std::swap(id_, other.id_);
  std::swap(output_, other.output_);
  return *this;
}

ChildProcess::~ChildProcess() {
  Kill();
  if (output_ >= 0) ::close(output_);
}

void ChildProcess::Kill() {
  if (id_ < 0) return;
  ::kill(id_, SIGKILL);
  Wait();
}

void ChildProcess::Interrupt() {
  if (id_ >= 0) ::kill(id_, SIGINT);
}

Result<size_t> ChildProcess::Read(std::span<uint8_t> out, double patience_seconds) {
  size_t filled = 0;
  while (filled < out.size()) {
    pollfd wait = {output_, POLLIN, 0};
    const auto until = std::chrono::steady_clock::now() + std::chrono::duration<double>(patience_seconds);
    int ready = 0;
    do {
      const auto left =
          std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now()).count();
      ready = ::poll(&wait, 1, static_cast<int>(std::clamp<int64_t>(left, 0, 1 << 30)));
    } while (ready < 0 && errno == EINTR);
    if (ready == 0) {
      Kill();
      return Fail(ErrorCode::kBadFile,
                  fmt::format("the decoder did not answer for {:g} s and was stopped", patience_seconds),
                  "the file is damaged or far too large");
    }
    const ssize_t count = ::read(output_, out.data() + filled, out.size() - filled);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    filled += static_cast<size_t>(count);
  }
  return filled;
}

std::string ChildProcess::Wait() {
  if (id_ < 0) return {};
  int status = 0;
  pid_t waited;
  do {
    waited = ::waitpid(id_, &status, 0);
  } while (waited < 0 && errno == EINTR);
  id_ = -1;
  if (waited < 0) return "was lost";
  if (WIFSIGNALED(status)) {
    return fmt::format("was ended by signal {} ({})", WTERMSIG(status), ::strsignal(WTERMSIG(status)));
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 0
             ? std::string()
             : fmt::format("ended with exit code {}", WEXITSTATUS(status));
}

}  // namespace linnet
