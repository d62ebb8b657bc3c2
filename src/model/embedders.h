// The encoder-free front end: one linear projection each for picture cells and sound frames.
#pragma once

#include <cstdint>
#include <span>

#include "base/buffers.h"
#include "model/config.h"
#include "model/probe.h"
#include "model/weights.h"
#include "ops/context.h"

namespace linnet {

struct VisionModel {
  const VisionConfig& config;
  const VisionWeights& weights;
};
struct AudioModel {
  const AudioConfig& config;
  const AudioWeights& weights;
};
struct PatchCells {
  Rows patches;                        // (n, 6912) in 0..1; they are overwritten
  std::span<const int32_t> positions;  // (n, 2), x then y, each below mm_posemb_size
};

// What so many rows take beside what goes in and comes out, and of the operations. Sound takes nothing of its
// own.
struct ImageWorkspace {
  void List(BufferList& list, const VisionConfig& config, int64_t rows) {
    list.Add(hidden, rows * config.mm_embed_dim);
  }
  AlignedBuffer<float> hidden;  // (n, M)
};
OpShape PlannedOps(const VisionConfig& config, int64_t rows);
OpShape PlannedOps(const AudioConfig& config, int64_t rows);

// Soft tokens of one picture or video frame: out (n, D). Probes: patch_ln1, patch_dense, patch_ln2, pos_norm,
// soft.
void EmbedImage(OpContext& context, VisionModel model, const PatchCells& cells, Rows out,
                Probe* probe = nullptr);

// Soft tokens of one clip: frames (n, 640) of raw samples, which are overwritten; out (n, D). Probes: frames,
// soft.
void EmbedAudio(OpContext& context, AudioModel model, Rows frames, Rows out, Probe* probe = nullptr);

// Cuts samples into frames of `frame_samples`, the last one padded with zeros: (ceil(samples /
// frame_samples), …). REQUIRES: `frames` has that many rows.
void FrameSamples(std::span<const float> samples, Rows frames);

}  // namespace linnet
