// Files that are there whole or not at all.
#pragma once

#include <filesystem>
#include <string_view>

#include "linnet/error.h"

namespace linnet {

// Puts complete content in its place; what was there before stays until then, and nothing is left behind when
// it fails. Errors: kInvalidArgument when there is no such place, kBadFile when it takes nothing more (a full
// disk).
Status WriteWholeFile(const std::filesystem::path& path, std::string_view content);

// With those above it; no error when it is there. Errors: kInvalidArgument.
Status MakeDirectory(const std::filesystem::path& path);

// The error for a file that cannot be written, by the system's error number.
std::unexpected<Error> CannotWrite(const std::filesystem::path& path, int error);

}  // namespace linnet
