#include "media/resample.h"

#include <algorithm>
#include <string>
#include <utility>

#include <soxr.h>

namespace linnet {
namespace {

constexpr size_t kSoxrPiece = 1 << 14;  // samples handed to soxr at once

}  // namespace

struct Resampler::Impl {
  ~Impl() { soxr_delete(soxr); }
  int64_t from = 0, to = 0;
  int64_t taken = 0, given = 0;
  soxr_t soxr = nullptr;  // none when the rates are equal
  std::vector<float> piece;

  // Runs soxr once; `in` may be empty: the end of the input. Returns the samples it took.
  Result<size_t> Step(std::span<const float> in, std::vector<float>& out) {
    size_t used = 0, made = 0;
    const soxr_error_t error = soxr_process(soxr, in.empty() ? nullptr : in.data(), in.size(), &used,
                                            piece.data(), piece.size(), &made);
    if (error != nullptr) return Fail(ErrorCode::kInternal, std::string("resampling failed: ") + error);
    out.insert(out.end(), piece.begin(), piece.begin() + static_cast<ptrdiff_t>(made));
    given += static_cast<int64_t>(made);
    return in.empty() ? made : used;
  }
};

Resampler::Resampler(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Resampler::Resampler(Resampler&&) noexcept = default;
Resampler& Resampler::operator=(Resampler&&) noexcept = default;
Resampler::~Resampler() = default;

Result<Resampler> Resampler::Create(int64_t from_rate, int64_t to_rate) {
  if (from_rate < kMinRate || from_rate > kMaxRate || to_rate < kMinRate || to_rate > kMaxRate) {
    return Fail(ErrorCode::kUnsupported, "a sampling rate of " + std::to_string(from_rate) + " Hz",
                "convert the sound to a rate of 100 Hz to 1 MHz");
  }
  auto impl = std::make_unique<Impl>();
  impl->from = from_rate;
  impl->to = to_rate;
  if (from_rate != to_rate) {
    soxr_error_t error = nullptr;
    const soxr_io_spec_t io = soxr_io_spec(SOXR_FLOAT32_I, SOXR_FLOAT32_I);
    const soxr_quality_spec_t quality = soxr_quality_spec(SOXR_HQ, 0);
    impl->soxr = soxr_create(static_cast<double>(from_rate), static_cast<double>(to_rate), 1, &error, &io,
                             &quality, nullptr);
    if (impl->soxr == nullptr) {
      return Fail(ErrorCode::kInternal,
                  std::string("no resampler: ") + (error == nullptr ? "unknown" : error));
    }
    impl->piece.resize(kSoxrPiece);
  }
  return Resampler(std::move(impl));
}

Status Resampler::Push(std::span<const float> in, std::vector<float>& out) {
  impl_->taken += static_cast<int64_t>(in.size());
  if (impl_->soxr == nullptr) {
    out.insert(out.end(), in.begin(), in.end());
    return {};
  }
  while (!in.empty()) {
    LINNET_ASSIGN(const size_t used, impl_->Step(in.first(std::min(in.size(), kSoxrPiece)), out));
    in = in.subspan(used);
  }
  return {};
}

Status Resampler::Finish(std::vector<float>& out) {
  if (impl_->soxr == nullptr) return {};
  if (impl_->taken > 0) {
    size_t made = 1;
    while (made > 0) {
      LINNET_ASSIGN(made, impl_->Step({}, out));
    }
  }
  const int64_t wanted = (impl_->taken * impl_->to + impl_->from - 1) / impl_->from;
  const int64_t excess = impl_->given - wanted;
  out.resize(excess > 0 ? out.size() - std::min(out.size(), static_cast<size_t>(excess))
                        : out.size() + static_cast<size_t>(-excess));
  impl_->given = wanted;
  return {};
}

}  // namespace linnet
