#include "base/write_file.h"

#include <cerrno>
#include <cstdio>
#include <string>
#include <system_error>

#include "base/system_error.h"

namespace linnet {

std::unexpected<Error> CannotWrite(const std::filesystem::path& path, int error) {
  const bool full = IsNoRoom(error);
  return Fail(full ? ErrorCode::kBadFile : ErrorCode::kInvalidArgument,
              path.string() + " cannot be written: " + std::generic_category().message(error),
              full ? "make room, or choose another place with -o"
                   : AdviceFor(error == ENAMETOOLONG || error == EMFILE || error == ENFILE ? error : 0,
                               "choose another place with -o"));
}

Status MakeDirectory(const std::filesystem::path& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) return {};
  return Fail(ErrorCode::kInvalidArgument,
              "the directory " + path.string() + " cannot be made" +
                  (error ? ": " + error.message() : ", as a file of this name is there"),
              error.value() == ENAMETOOLONG ? AdviceFor(ENAMETOOLONG, "") : "choose another place with -o");
}

Status WriteWholeFile(const std::filesystem::path& path, std::string_view content) {
  const std::filesystem::path fresh = path.string() + ".new";
  errno = 0;
  std::FILE* file = std::fopen(fresh.c_str(), "wb");
  if (file == nullptr) return CannotWrite(path, errno);
  int error = std::fwrite(content.data(), 1, content.size(), file) == content.size() ? 0 : errno;
  if (std::fclose(file) != 0 && error == 0) error = errno;
  std::error_code moved;
  if (error == 0) {
    std::filesystem::rename(fresh, path, moved);
    if (!moved) return {};
    error = moved.value();
  }
  std::filesystem::remove(fresh, moved);
  return CannotWrite(path, error);
}

}  // namespace linnet
