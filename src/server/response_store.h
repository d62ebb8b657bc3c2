// What was asked and answered at /v1/responses, for the requests that go on from it: in a file of SQLite's,
// or in memory. Whatever moment the program is killed at, a response is there whole or not at all.
//
// Thread safety: any.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "linnet/error.h"

namespace linnet {

class ResponseStore {
 public:
  struct Limits {
    uint64_t in_memory = 64 << 20;
    uint64_t in_file = uint64_t{1} << 30;
  };
  // `path`: made where it is not there, for this user alone; empty: in memory, until the program ends.
  // Errors: kBadFile, it is no such file, or another server uses it.
  static Result<std::unique_ptr<ResponseStore>> Open(const std::string& path);
  static Result<std::unique_ptr<ResponseStore>> Open(const std::string& path, const Limits& limits);
  ~ResponseStore();

  struct Stored {
    std::string previous;  // the id of the response that this one goes on from; may be empty
    std::string input;     // JSON text: a list of items
    std::string response;  // JSON text: as the client got it
  };
  // `owner` is whose it is: nobody else finds it. The oldest ones go where there is no room. Errors:
  // kInvalidArgument, it is too large by itself; kBadFile, it cannot be written.
  Status Put(const std::string& id, const std::string& owner, const Stored& stored);
  // Errors: kNotFound, kBadFile.
  Result<Stored> Get(const std::string& id, const std::string& owner) const;
  Status Delete(const std::string& id, const std::string& owner);

 private:
  struct Impl;
  explicit ResponseStore(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace linnet
