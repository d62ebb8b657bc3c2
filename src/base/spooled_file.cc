#include "base/spooled_file.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/system_error.h"

namespace linnet {
namespace {

constexpr size_t kPiece = size_t{1} << 20;

bool IsStreamMode(mode_t mode) { return S_ISFIFO(mode) || S_ISSOCK(mode); }

// A file that has no name any more; -1 with errno.
int NamelessFile() {
  const char* asked = std::getenv("TMPDIR");
  std::string name = std::string(asked != nullptr && *asked != '\0' ? asked : "/tmp") + "/linnet-XXXXXX";
  const int descriptor = ::mkostemp(name.data(), O_CLOEXEC);
  if (descriptor >= 0) ::unlink(name.c_str());
  return descriptor;
}

std::unexpected<Error> NoRoom(const std::string& name) {
  return Fail(
      ErrorCode::kInternal,
      fmt::format("{}: cannot be kept in a temporary file: {}", name, std::strerror(errno)),
      AdviceFor(errno, "make room in the directory for temporary files, or name another one in TMPDIR"));
}

bool WriteAll(int to, const uint8_t* bytes, size_t count) {
  while (count > 0) {
    const ssize_t written = ::write(to, bytes, count);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    bytes += written;
    count -= static_cast<size_t>(written);
  }
  return true;
}

}  // namespace

SpooledFile::SpooledFile(int descriptor, bool owned)
    : descriptor_(descriptor), owned_(owned), path_(fmt::format("/dev/fd/{}", descriptor)) {}

SpooledFile::~SpooledFile() {
  if (owned_) ::close(descriptor_);
}

bool SpooledFile::IsStream(const std::filesystem::path& path) {
  struct stat info{};
  return ::stat(path.c_str(), &info) == 0 && IsStreamMode(info.st_mode);
}

Result<std::shared_ptr<const SpooledFile>> SpooledFile::FromStandardInput(const std::string& name,
                                                                          uint64_t most) {
  struct stat info{};
  if (::fstat(STDIN_FILENO, &info) != 0) {
    return Fail(ErrorCode::kBadFile, name + ": is closed", "pipe a file into it");
  }
  if (S_ISREG(info.st_mode)) {
    return std::shared_ptr<const SpooledFile>(new SpooledFile(STDIN_FILENO, false));
  }
  if (!IsStreamMode(info.st_mode)) {
    return Fail(ErrorCode::kBadFile,
                fmt::format("{}: is {}, not a pipe or a file", name,
                            ::isatty(STDIN_FILENO) == 1 ? "a terminal" : "a device"),
                "pipe a file into it");
  }
  return Copy(StreamReader::StandardInput(name), name, most);
}

Result<std::shared_ptr<const SpooledFile>> SpooledFile::Open(const std::filesystem::path& path,
                                                             uint64_t most) {
  LINNET_ASSIGN(StreamReader from, StreamReader::Open(path, path.string()));
  return Copy(std::move(from), path.string(), most);
}

Result<std::shared_ptr<const SpooledFile>> SpooledFile::Copy(StreamReader from, const std::string& name,
                                                             uint64_t most) {
  const int to = NamelessFile();
  if (to < 0) return NoRoom(name);
  std::shared_ptr<const SpooledFile> file(new SpooledFile(to, true));
  std::vector<uint8_t> piece(kPiece);
  for (uint64_t total = 0;;) {
    LINNET_ASSIGN(const size_t count, from.Read(piece));
    if (count == 0) return file;
    total += count;
    if (total > most) {
      return Fail(ErrorCode::kBadFile, fmt::format("{}: gives more than {} bytes", name, most),
                  "write it to a file and give that");
    }
    if (!WriteAll(to, piece.data(), count)) return NoRoom(name);
  }
}

}  // namespace linnet
