// Sample-rate conversion to 16 kHz by soxr at quality HQ, as the reference loader does it, piece by piece.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "linnet/error.h"

namespace linnet {

class Resampler {
 public:
  // Rates in Hz, kMinRate..kMaxRate. Equal rates copy.
  static Result<Resampler> Create(int64_t from_rate, int64_t to_rate);
  Resampler(Resampler&&) noexcept;
  Resampler& operator=(Resampler&&) noexcept;
  ~Resampler();

  // Takes all of `in` and appends what it yields. However the input is cut, the output is the same.
  Status Push(std::span<const float> in, std::vector<float>& out);
  // Appends the rest: the whole output is exactly ceil(input * to / from) samples.
  Status Finish(std::vector<float>& out);

  static constexpr int64_t kMinRate = 100, kMaxRate = 1'000'000;

 private:
  struct Impl;
  explicit Resampler(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace linnet
