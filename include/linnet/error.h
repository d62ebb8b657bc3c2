// The one way in which Linnet reports that something given to it (a file, an option, a request) cannot be
// used.
#pragma once

#include <expected>
#include <string>
#include <utility>

namespace linnet {

enum class ErrorCode {
  kInvalidArgument,  // an option or a call is wrong: the user must change the request
  kNotFound,         // a file or directory is not there
  kBadFile,          // a file is there but is damaged or of another kind
  kUnsupported,      // well-formed, but Linnet or this model cannot do it
  kOutOfMemory,      // the plan does not fit
  kCancelled,        // the caller asked to stop
  kInternal,         // a defect of Linnet
};

// What was found, where, and what to do about it. `Message()` is one line for a person.
struct Error {
  ErrorCode code = ErrorCode::kInternal;
  std::string what;  // what was found, naming the file, field or option
  std::string hint;  // what to do about it; may be empty

  std::string Message() const { return hint.empty() ? what : what + "; " + hint; }
};

template <typename T>
using Result = std::expected<T, Error>;
using Status = std::expected<void, Error>;

inline std::unexpected<Error> Fail(ErrorCode code, std::string what, std::string hint = {}) {
  return std::unexpected<Error>(Error{code, std::move(what), std::move(hint)});
}

// Passes an error on with the place it came from in front: "model.gguf: …".
inline std::unexpected<Error> Prefixed(const std::string& where, Error error) {
  error.what = where + ": " + error.what;
  return std::unexpected<Error>(std::move(error));
}

}  // namespace linnet

// Returns the error of a Result from the enclosing function, or goes on.
#define LINNET_TRY(expression)                                            \
  do {                                                                    \
    if (auto linnet_try_result = (expression); !linnet_try_result) {      \
      return std::unexpected<::linnet::Error>(linnet_try_result.error()); \
    }                                                                     \
  } while (false)

#define LINNET_CONCAT_INNER(a, b) a##b
#define LINNET_CONCAT(a, b) LINNET_CONCAT_INNER(a, b)
// LINNET_ASSIGN(auto x, Make()): declares x from a Result, or returns its error.
#define LINNET_ASSIGN(declaration, expression) \
  LINNET_ASSIGN_INNER(LINNET_CONCAT(linnet_result_, __LINE__), declaration, expression)
#define LINNET_ASSIGN_INNER(result, declaration, expression)                       \
  auto result = (expression);                                                      \
  if (!result) return std::unexpected<::linnet::Error>(std::move(result).error()); \
  declaration = std::move(result).value()
