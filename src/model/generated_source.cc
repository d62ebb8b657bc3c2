#include "model/generated_source.h"

#include <algorithm>

#include "base/check.h"

namespace linnet {

uint64_t Mix(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

uint64_t HashName(std::string_view name) {
  uint64_t h = 14695981039346656037u;
  for (const char c : name) h = (h ^ static_cast<uint8_t>(c)) * 1099511628211u;
  return h;
}

GeneratedSource::GeneratedSource(const ModelConfig& config, const FormatOf& format, Fill fill)
    : fill_(std::move(fill)) {
  Add(TextTensors(config), kModelPrefix, format);
  Add(MultimodalTensors(config), kModelPrefix, format);
}

GeneratedSource::GeneratedSource(const DrafterConfig& config, const FormatOf& format, Fill fill)
    : fill_(std::move(fill)) {
  Add(DrafterTensors(config), kDrafterPrefix, format);
}

void GeneratedSource::Add(const std::vector<ExpectedTensor>& expected, std::string_view prefix,
                          const FormatOf& format) {
  for (const ExpectedTensor& tensor : expected) {
    TensorInfo info;
    info.name = HfName(tensor.role, tensor.layer, prefix);
    info.dtype = format(tensor);
    info.shape = tensor.shape;
    info.bytes = RowBytes(info.dtype, static_cast<uint64_t>(info.elements()));
    tensors_.push_back(std::move(info));
  }
}

const TensorInfo* GeneratedSource::Find(std::string_view name) const {
  const auto it =
      std::find_if(tensors_.begin(), tensors_.end(), [&](const TensorInfo& t) { return t.name == name; });
  return it == tensors_.end() ? nullptr : &*it;
}

std::span<const uint8_t> GeneratedSource::Bytes(const TensorInfo& tensor, uint64_t offset, uint64_t length,
                                                std::vector<uint8_t>& scratch) const {
  scratch.resize(length);
  fill_(tensor, offset, scratch);
  return scratch;
}

void HashedValues(std::string_view name, uint64_t first, float base, float scale, std::span<float> out) {
  const uint64_t h = HashName(name);
  for (size_t i = 0; i < out.size(); ++i) {
    const uint64_t bits = Mix(h + (first + i + 1) * 0x9E3779B97F4A7C15u) >> 40;
    const float u = static_cast<float>(bits) * 0x1p-23f - 1.0f;
    out[i] = base + scale * u;
  }
}

std::unique_ptr<TensorSource> HashedWeights(const ModelConfig& config) {
  const auto fill = [](const TensorInfo& tensor, uint64_t offset, std::span<uint8_t> out) {
    float base = 0.0f, scale = 0.0f;
    const std::string_view name = tensor.name;
    const int64_t columns = tensor.shape.back();
    if (name.ends_with(".layer_scalar")) {
      base = 0.5f, scale = 0.25f;
    } else if (name.ends_with(".q_norm.weight") || name.ends_with(".k_norm.weight")) {
      base = 0.3125f, scale = 0.125f;
    } else if (name.ends_with(".bias")) {
      scale = 0.25f;
    } else if (name.ends_with("pos_embedding")) {
      scale = 0.5f;
    } else if (name.ends_with("embed_tokens.weight")) {
      scale = 0.125f;
    } else if (tensor.shape.size() == 1) {
      base = 1.0f, scale = 0.5f;
    } else {
      scale = columns == 640 ? 1.0f / 16 : columns == 3840 || columns == 4096 ? 1.0f / 32 : 1.0f / 64;
    }
    LINNET_CHECK(offset % 4 == 0 && out.size() % 4 == 0);
    HashedValues(name, offset / 4, base, scale, {reinterpret_cast<float*>(out.data()), out.size() / 4});
  };
  return std::make_unique<GeneratedSource>(config, [](const ExpectedTensor&) { return Dtype::kF32; }, fill);
}

}  // namespace linnet
