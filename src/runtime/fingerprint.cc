#include "runtime/fingerprint.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "runtime/sha256.h"

namespace linnet {
namespace {

constexpr uint64_t kSampleBytes = 64, kSpreadSamples = 256;

// The bindings name every field, so that a new one cannot be forgotten here: the compiler counts them.
std::string LayerText(const LayerPlan& plan) {
  const auto& [kind, head_dim, kv_heads, window, intermediate, source, k_eq_v, rope] = plan;
  const auto& [theta, factor, pairs] = rope;
  return fmt::format("{} {} {} {} {} {} {} {} {} {}\n", static_cast<int>(kind), head_dim, kv_heads, window,
                     intermediate, static_cast<int>(source), k_eq_v, theta, factor, pairs);
}

std::string TextConfigText(const ModelConfig& config) {
  const auto& [type, name, vocabulary, width, heads, positions, eps, softcap, scale, adds_one, v_norm, scalar,
               scale_bf16, layers, vision, audio, tokens, generation] = config;
  // What chooses a token, and how far the context may reach, changes no key.
  (void)name, (void)positions, (void)vision, (void)audio, (void)tokens, (void)generation;
  std::string text = fmt::format("{} {} {} {} {} {} {} {} {} {} {}\n", type, vocabulary, width, heads, eps,
                                 softcap, scale, adds_one, v_norm, scalar, scale_bf16);
  for (const LayerPlan& plan : layers) text += LayerText(plan);
  return text;
}

std::string MediaConfigText(const ModelConfig& config) {
  const auto& [sees, width, positions, patch, pooling, soft, eps] = config.vision;
  (void)soft;  // a default
  const auto& [hears, frame, rate, audio_eps] = config.audio;
  return fmt::format("{} {} {} {} {} {} {} {} {} {}\n", sees, width, positions, patch, pooling, eps, hears,
                     frame, rate, audio_eps);
}

void AddSample(const TensorSource& source, const TensorInfo& tensor, uint64_t offset, std::string& text) {
  std::vector<uint8_t> scratch;
  offset = std::min(offset, tensor.bytes - std::min(tensor.bytes, kSampleBytes));
  const auto bytes = source.Bytes(tensor, offset, std::min(kSampleBytes, tensor.bytes - offset), scratch);
  text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

// In the order of the file.
std::string TensorsText(const TensorSource& source) {
  std::string text;
  uint64_t total = 0, before = 0, sample = 0;
  for (const TensorInfo& tensor : source.tensors()) total += tensor.bytes;
  for (const TensorInfo& tensor : source.tensors()) {
    text += fmt::format("{} {} {}", tensor.name, static_cast<int>(tensor.dtype), tensor.packed);
    for (const int64_t d : tensor.shape) text += fmt::format(" {}", d);
    text += '\n';
    AddSample(source, tensor, tensor.bytes / 2, text);
    for (; sample < kSpreadSamples; ++sample) {
      const uint64_t at = total / kSpreadSamples * sample;
      if (at >= before + tensor.bytes) break;
      AddSample(source, tensor, at - before, text);
    }
    before += tensor.bytes;
  }
  return text;
}

}  // namespace

ModelFingerprint FingerprintOf(const ModelConfig& config, const TensorSource& text,
                               const TensorSource* multimodal, bool dequantise) {
  const bool apart = multimodal != nullptr && multimodal != &text;
  std::string own = fmt::format("{}\n", dequantise) + TextConfigText(config) + TensorsText(text);
  if (!apart) own += MediaConfigText(config);
  ModelFingerprint fingerprint{Sha256Hex(std::span<const char>(own)), {}};
  if (apart) {
    const std::string media = MediaConfigText(config) + TensorsText(*multimodal);
    fingerprint.multimodal = Sha256Hex(std::span<const char>(media));
  }
  return fingerprint;
}

}  // namespace linnet
