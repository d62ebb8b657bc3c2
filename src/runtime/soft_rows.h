// The rows that a prompt's media put in place of their placeholders.
#pragma once

#include <cstdint>

#include "base/buffers.h"
#include "linnet/error.h"
#include "model/probe.h"
#include "runtime/engine_impl.h"
#include "runtime/prompt.h"

namespace linnet {

// Whether the media fill the placeholders exactly, and the model has the part that embeds them. Errors:
// kInvalidArgument, kUnsupported.
Status CheckMedia(const Engine::Impl& engine, const Prompt& prompt);

// Values of a medium as the embedders take them, and the rows that they make of them.
struct MediumBuffers {
  void List(BufferList& list, int64_t rows, int64_t values, int64_t width) {
    list.Add(input, rows * values);
    list.Add(soft, rows * width);
  }
  AlignedBuffer<float> input, soft;
};

// Hands out the soft-token rows of a prompt's media in order, computing a medium when its first row is
// wanted. REQUIRES: CheckMedia. Engine, prompt and probe (may be null) must outlive it.
class SoftRows {
 public:
  SoftRows(Engine::Impl& engine, const Prompt& prompt, Probe* probe)
      : engine_(engine), prompt_(prompt), probe_(probe) {}

  // The next row for a placeholder of this type: (D). Valid until the next call.
  const float* Next(TokenType type);

 private:
  struct Stream {
    size_t medium = 0;  // the next one to compute
    int64_t row = 0;    // the next row of the current one
    int64_t rows = 0;
    AlignedBuffer<float> soft;
  };

  int64_t ComputeImage(Stream& stream);
  int64_t ComputeClip(Stream& stream);

  Engine::Impl& engine_;
  const Prompt& prompt_;
  Probe* probe_;
  Stream images_, clips_;
};

}  // namespace linnet
