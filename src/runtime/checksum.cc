#include "runtime/checksum.h"

// The header alone is used, so nothing is to be linked.
#define XXH_INLINE_ALL
#include <xxhash.h>

namespace linnet {

struct Checksum::State {
  XXH3_state_t xxh3;
};

uint64_t ChecksumOf(std::span<const uint8_t> bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

Checksum::Checksum() : state_(std::make_unique<State>()) { XXH3_64bits_reset(&state_->xxh3); }
Checksum::~Checksum() = default;
void Checksum::Add(std::span<const uint8_t> bytes) {
  XXH3_64bits_update(&state_->xxh3, bytes.data(), bytes.size());
}
uint64_t Checksum::value() const { return XXH3_64bits_digest(&state_->xxh3); }

}  // namespace linnet
