#include "base/system_error.h"

#include <cerrno>
#include <system_error>

namespace linnet {

bool IsNoRoom(int error) { return error == ENOSPC || error == EFBIG || error == EDQUOT || error == EIO; }

std::string AdviceFor(int error, const std::string& otherwise) {
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      return "check the spelling";
    case EACCES:
    case EPERM:
      return "check the permissions";
    case EMFILE:
      return "allow more open files (ulimit -n)";
    case ENFILE:
      return "the system has no room for more open files: close other programs";
    case ENAMETOOLONG:
      return "give a shorter name";
    case ELOOP:
      return "its links lead in a circle: name the file itself";
    case EISDIR:
      return "name a file in it";
    default:
      return otherwise;
  }
}

std::unexpected<Error> CannotOpen(const std::string& name, int error) {
  const bool missing = error == ENOENT || error == ENOTDIR;
  return Fail(missing ? ErrorCode::kNotFound : ErrorCode::kBadFile,
              name + ": cannot open: " + std::generic_category().message(error),
              AdviceFor(error, "check that it can be read"));
}

}  // namespace linnet
