// Checksums that find damage (XXH3, 64 bits): fast, and no protection against forgery.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

namespace linnet {

uint64_t ChecksumOf(std::span<const uint8_t> bytes);

// The same of bytes that come piece by piece.
class Checksum {
 public:
  Checksum();  // throws std::bad_alloc
  Checksum(const Checksum&) = delete;
  Checksum& operator=(const Checksum&) = delete;
  ~Checksum();

  void Add(std::span<const uint8_t> bytes);
  uint64_t value() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace linnet
