// Where memory that cannot be had becomes an error.
//
// Buffers and standard containers throw when the system has no more memory, threads when it starts no more.
// Inside the library that unwinds; entry points (loading, sessions, feeding, answering, media) catch it here,
// so that it leaves no library. An object that was growing keeps a state from which the next call can go on.
#pragma once

#include <new>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>

#include "linnet/error.h"

namespace linnet {

// Runs `body`, which returns a Result or a Status. Errors: the body's; kOutOfMemory says that there was not
// enough memory for `what`, and `hint`.
template <typename Body>
auto WithinMemory(std::string_view what, std::string_view hint, const Body& body) -> decltype(body()) {
  const auto no_memory = [&] {
    return Fail(ErrorCode::kOutOfMemory, "not enough memory for " + std::string(what), std::string(hint));
  };
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return no_memory();
  } catch (const std::length_error&) {  // more than a container can ever hold
    return no_memory();
  } catch (const std::system_error& error) {
    return Fail(ErrorCode::kOutOfMemory,
                "the system starts no more threads (" + std::string(error.what()) + ")",
                "ask for fewer with --threads, or close other programs");
  }
}

}  // namespace linnet
