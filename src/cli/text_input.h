// Texts that come from outside: prompts, files with texts or tools, standard input. All of them become UTF-8
// without a byte order mark (base/plain_text.h).
#pragma once

#include <cstddef>
#include <string>

#include "linnet/error.h"
#include "linnet/media.h"

namespace linnet {

// Longer prompts than this cannot be meant: the model's context ends far below.
inline constexpr size_t kMaxTextBytes = 64u << 20;

// "-" and the system's own names for it.
bool IsStandardInput(const std::string& file);

bool IsBlank(const std::string& text);

// To its end. Says that it waits when nothing comes for a while. Errors: kBadFile, also when reading breaks
// off; kInvalidArgument for too much.
Result<std::string> ReadStandardInput();

// `file` may be standard input. Errors: as above, kNotFound.
Result<std::string> ReadTextFile(const std::string& file, size_t limit = kMaxTextBytes);

// The text of a file, or of what came through a pipe or in an address.
Result<std::string> ReadText(const MediaSource& source);

}  // namespace linnet
