// What the system's error numbers mean for a person.
#pragma once

#include <string>

#include "linnet/error.h"

namespace linnet {

// Whether a write that failed with this number found no room, or a medium that fails: another place helps.
bool IsNoRoom(int error);

// What to do about a call that failed with this number; `otherwise` where the number says nothing about that.
std::string AdviceFor(int error, const std::string& otherwise);

// "NAME: cannot open: …" with what to do. Errors: kNotFound where there is no such file, else kBadFile.
std::unexpected<Error> CannotOpen(const std::string& name, int error);

}  // namespace linnet
