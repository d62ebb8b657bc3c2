#include "model/embedders.h"

#include <algorithm>

#include "base/check.h"
#include "ops/elementwise.h"
#include "ops/matmul.h"

namespace linnet {
namespace {

// torch's LayerNorm default: the reference constructs its three LayerNorms without the configured epsilon.
constexpr float kLayerNormEps = 1e-5f;

void AddPositions(const VisionWeights& w, std::span<const int32_t> positions, Rows h) {
  for (int64_t r = 0; r < h.rows; ++r) {
    const float* x = &w.position_x[static_cast<size_t>(positions[static_cast<size_t>(2 * r)]) *
                                   static_cast<size_t>(h.width)];
    const float* y = &w.position_y[static_cast<size_t>(positions[static_cast<size_t>(2 * r + 1)]) *
                                   static_cast<size_t>(h.width)];
    float* row = h.row(r);
    for (int64_t i = 0; i < h.width; ++i) row[i] += x[i] + y[i];
  }
}

}  // namespace

OpShape PlannedOps(const VisionConfig& config, int64_t rows) {
  return {rows, std::max(config.patch_values(), config.mm_embed_dim), 1, 1};
}

OpShape PlannedOps(const AudioConfig& config, int64_t rows) { return {rows, config.frame_samples, 1, 1}; }

void EmbedImage(OpContext& context, VisionModel model, const PatchCells& cells, Rows out, Probe* probe) {
  const auto& [config, w] = model;
  const Rows patches = cells.patches;
  const auto see = [&](std::string_view name, Rows rows) {
    if (probe != nullptr) probe->See(name, -1, rows);
  };
  context.Reserve(PlannedOps(config, patches.rows));
  ImageWorkspace workspace;
  Allocate(workspace, config, patches.rows);
  const Rows h = MakeRows(workspace.hidden.data(), patches.rows, config.mm_embed_dim);  // (n, M)

  LayerNorm(context, patches, {w.patch_ln1_weight, w.patch_ln1_bias}, kLayerNormEps, patches);
  see("patch_ln1", patches);
  MatMul(context, w.patch_dense, patches, h);
  AddBias(context, h, w.patch_dense_bias);
  see("patch_dense", h);
  LayerNorm(context, h, {w.patch_ln2_weight, w.patch_ln2_bias}, kLayerNormEps, h);
  see("patch_ln2", h);
  AddPositions(w, cells.positions, h);
  LayerNorm(context, h, {w.pos_norm_weight, w.pos_norm_bias}, kLayerNormEps, h);
  see("pos_norm", h);
  RmsNorm(context, h, {}, config.rms_norm_eps, h);
  see("vision_norm", h);
  MatMul(context, w.projection, h, out);
  see("soft", out);
}

void EmbedAudio(OpContext& context, AudioModel model, Rows frames, Rows out, Probe* probe) {
  if (probe != nullptr) probe->See("frames", -1, frames);
  context.Reserve(PlannedOps(model.config, frames.rows));
  RmsNorm(context, frames, {}, model.config.rms_norm_eps, frames);  // loudness leaves here, frame by frame
  if (probe != nullptr) probe->See("audio_norm", -1, frames);
  MatMul(context, model.weights.projection, frames, out);
  if (probe != nullptr) probe->See("soft", -1, out);
}

void FrameSamples(std::span<const float> samples, Rows frames) {
  const int64_t count = static_cast<int64_t>(samples.size());
  LINNET_CHECK(frames.rows == (count + frames.width - 1) / frames.width);
  for (int64_t r = 0; r < frames.rows; ++r) {
    const int64_t begin = r * frames.width;
    const int64_t end = std::min(count, begin + frames.width);
    std::copy(samples.begin() + begin, samples.begin() + end, frames.row(r));
    std::fill(frames.row(r) + (end - begin), frames.row(r) + frames.width, 0.0f);
  }
}

}  // namespace linnet
