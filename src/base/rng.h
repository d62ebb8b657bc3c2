// Counter-based random numbers: the n-th number of a seed is a pure function of (seed, n), so the order in
// which threads or steps ask for them cannot change a result.
#pragma once

#include <cstdint>

namespace linnet {

// The finaliser of SplitMix64 (Steele, Lea, Flood, 2014): a bijection on 64 bits that passes BigCrush on
// counters.
inline uint64_t MixBits(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return z ^ (z >> 31);
}

// The seed is mixed first so that neighbouring seeds do not give shifted copies of one sequence.
inline uint64_t RandomBits(uint64_t seed, uint64_t counter) {
  return MixBits(MixBits(seed) + (counter + 1) * 0x9e3779b97f4a7c15ull);
}

// In [0, 1), a multiple of 2^-53.
inline double RandomUniform(uint64_t seed, uint64_t counter) {
  return static_cast<double>(RandomBits(seed, counter) >> 11) * 0x1p-53;
}

}  // namespace linnet
