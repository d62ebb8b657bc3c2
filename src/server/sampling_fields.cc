#include "server/sampling_fields.h"

#include <algorithm>
#include <random>

namespace linnet {
namespace {

constexpr size_t kMostStops = 16;

uint64_t RandomSeed() {
  static thread_local std::random_device random;
  return static_cast<uint64_t>(random()) << 32 | random();
}

}  // namespace

Result<SamplingOptions> ReadSampling(const Fields& fields, const char* penalty) {
  SamplingOptions sampling;
  LINNET_ASSIGN(const auto temperature, fields.Number("temperature", {0, 100}));
  if (temperature) sampling.temperature = static_cast<float>(*temperature);
  LINNET_ASSIGN(const auto top_p, fields.Number("top_p", {0, 1}));
  if (top_p && *top_p > 0) sampling.top_p = static_cast<float>(*top_p);
  if (top_p && *top_p == 0) sampling.temperature = 0.0F;  // nothing but the most probable
  LINNET_ASSIGN(const auto top_k, fields.Integer("top_k", {-1, kMostAsked}));
  if (top_k) sampling.top_k = static_cast<int32_t>(std::max<int64_t>(0, *top_k));
  LINNET_ASSIGN(const auto min_p, fields.Number("min_p", {0, 1}));
  if (min_p) sampling.min_p = static_cast<float>(*min_p);
  LINNET_ASSIGN(const auto repetition, fields.Number(penalty, {0.01, 100}));
  if (repetition) sampling.repetition_penalty = static_cast<float>(*repetition);
  constexpr double kMostSeed = 9.3e18;
  LINNET_ASSIGN(const auto seed, fields.Integer("seed", {-kMostSeed, kMostSeed}));
  sampling.seed = seed ? static_cast<uint64_t>(*seed) : RandomSeed();
  return sampling;
}

Result<std::vector<std::string>> ReadStops(const Fields& fields, const char* name) {
  LINNET_ASSIGN(std::vector<std::string> stops, fields.Texts(name));
  std::erase(stops, "");
  if (stops.size() > kMostStops) return fields.Wrong(name, "has more than 16 texts", "give fewer");
  return stops;
}

}  // namespace linnet
