#include "runtime/logprobs.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <ranges>
#include <vector>

#include "runtime/token_bytes.h"

namespace linnet {

namespace {

// A special token is spelled out.
std::string Shown(const Tokenizer& tokenizer, int32_t id) {
  std::string bytes = TokenBytes(tokenizer, id);
  if (bytes.size() > 1 && bytes[0] == kSpecialMark) bytes.erase(0, 1);
  return bytes;
}

}  // namespace

TokenLogprob LogprobOf(const Tokenizer& tokenizer, std::span<const float> logits, int32_t id, int32_t top) {
  constexpr float kImpossible = -std::numeric_limits<float>::infinity();
  const auto value = [&](int32_t token) {
    const float logit = logits[static_cast<size_t>(token)];
    return std::isnan(logit) ? kImpossible : logit;
  };
  const auto size = static_cast<int32_t>(logits.size());
  float largest = kImpossible;
  for (int32_t token = 0; token < size; ++token) largest = std::max(largest, value(token));
  double sum = 0;
  for (int32_t token = 0; token < size; ++token) sum += std::exp(value(token) - largest);
  const double log_sum = largest + std::log(sum);
  const auto entry = [&](int32_t token) {
    return TokenChance{token, Shown(tokenizer, token), static_cast<float>(value(token) - log_sum)};
  };
  TokenLogprob result{entry(id), {}};
  if (top <= 0) return result;
  std::vector<int32_t> best(static_cast<size_t>(std::min(top, size)));
  std::ranges::partial_sort_copy(std::views::iota(0, size), best, [&](int32_t a, int32_t b) {
    return value(a) != value(b) ? value(a) > value(b) : a < b;
  });
  for (const int32_t token : best) result.top.push_back(entry(token));
  return result;
}

}  // namespace linnet
