#include "ops/matmul.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"

namespace linnet {
namespace {

// Blocks of 32 inputs that are expanded at a time: 16 blocks of three panels are 24 KiB of bytes, so they stay in the
// first-level cache while all rows pass over them.
constexpr int64_t kChunkBlocks = 16;
static_assert(kChunkBlocks <= kMaxWideBlocks);
constexpr int64_t kBytesFloats = kChunkBlocks * kWidePanels * kWideBytes / static_cast<int64_t>(sizeof(float));
constexpr int64_t kScaleFloats = kChunkBlocks * kWidePanels * 2 * kPanel;
constexpr int64_t kMinFloats = kChunkBlocks * kWidePanels * kPanel;

void QuantiseRow(OpContext& context, Rows x, int64_t r) {
  const int64_t blocks = x.width / kActBlock;
  context.kernels().quantise_row(x.row(r), x.width, context.q() + r * x.width, context.scale() + r * blocks,
                                 context.sum() + 2 * r * blocks, context.scaled_sum() + r * blocks);
}

// One row, kBytes at a time, into every tile_rows-th place.
template <int64_t kBytes>
void Scatter(const int8_t* q, int64_t width, int64_t tile_rows, int8_t* out) {
  for (int64_t i = 0; i < width; i += kBytes) std::memcpy(out + i * tile_rows, q + i, kBytes);
}

// One row into its place of its tile.
void Interleave(OpContext& context, int64_t width, int64_t row) {
  const int64_t tile_rows = context.kernels().wide_rows;
  const int64_t blocks = width / kActBlock, lane = row % tile_rows, first = row / tile_rows * blocks;
  const int8_t* q = context.q() + row * width;
  const int64_t group = context.kernels().wide_group;
  int8_t* tile_q = context.tile_q() + first * kActBlock * tile_rows + lane * group;
  group == kGroup ? Scatter<kGroup>(q, width, tile_rows, tile_q) : Scatter<2 * kGroup>(q, width, tile_rows, tile_q);
  for (int64_t b = 0; b < blocks; ++b) {
    const int64_t at = (first + b) * tile_rows + lane;
    context.tile_scale()[at] = context.scale()[row * blocks + b];
    context.tile_scaled_sum()[at] = context.scaled_sum()[row * blocks + b];
    context.tile_sum()[at + (first + b) * tile_rows] = context.sum()[2 * (row * blocks + b)];
    context.tile_sum()[at + (first + b + 1) * tile_rows] = context.sum()[2 * (row * blocks + b) + 1];
  }
}

void ClearLane(OpContext& context, int64_t width, int64_t row) {
  const int64_t tile_rows = context.kernels().wide_rows;
  const int64_t blocks = width / kActBlock, lane = row % tile_rows, first = row / tile_rows * blocks;
  const int64_t group = context.kernels().wide_group;
  int8_t* tile_q = context.tile_q() + first * kActBlock * tile_rows + lane * group;
  for (int64_t i = 0; i < width; i += group) std::memset(tile_q + i * tile_rows, 0, static_cast<size_t>(group));
  for (int64_t b = 0; b < blocks; ++b) {
    const int64_t at = (first + b) * tile_rows + lane;
    context.tile_scale()[at] = context.tile_scaled_sum()[at] = 0.0f;
    context.tile_sum()[at + (first + b) * tile_rows] = context.tile_sum()[at + (first + b + 1) * tile_rows] = 0;
  }
}

// Eight-bit activations of all rows, and their tiles where the wide product will read them.
void QuantiseRows(OpContext& context, Rows x) {
  if (x.rows == 1) return QuantiseRow(context, x, 0);
  const bool wide = x.rows > kFewRows;
  const int64_t tile_rows = context.kernels().wide_rows;
  const int64_t padded = (x.rows + tile_rows - 1) / tile_rows * tile_rows;
  const auto range = [&](int64_t begin, int64_t end, int) {
    for (int64_t r = begin; r < end; ++r) {
      if (r < x.rows) QuantiseRow(context, x, r);
      if (wide && r < x.rows) Interleave(context, x.width, r);
      if (wide && r >= x.rows) ClearLane(context, x.width, r);
    }
  };
  context.pool().For(wide ? padded : x.rows, range, 4 * x.rows * x.width);
}

// A group of at most kWidePanels panels against all rows, a chunk of K at a time.
void WideGroup(OpContext& context, const Projection& projection, Rows x, int64_t first_panel, float* scratch) {
  const Matrix& w = *projection.weight;
  const FormatKernels& format = context.kernels().formats[static_cast<int>(w.format)];
  const int64_t panels = std::min<int64_t>(kWidePanels, PanelCount(w.n) - first_panel);
  const int64_t panel_bytes = PanelBytes(w.format, w.k);
  const int64_t scales = format.scales_per_block * kPanel;
  uint8_t* bytes = reinterpret_cast<uint8_t*>(scratch);
  float* scale = scratch + kBytesFloats;
  float* min = scale + kScaleFloats;
  const int64_t blocks = w.k / kActBlock;
  for (int64_t first = 0; first < blocks; first += kChunkBlocks) {
    const int64_t count = std::min(kChunkBlocks, blocks - first);
    for (int64_t p = 0; p < panels; ++p) {
      format.expand(w.panels.data() + (first_panel + p) * panel_bytes, first, count,
                    {bytes + p * kWideBytes, scale + p * scales, min + p * kPanel, kWidePanels * kWideBytes,
                     kWidePanels * scales, kWidePanels * kPanel});
    }
    format.wide({bytes, scale, min, count, first, context.Tiles(w.k),
                 projection.out.data + first_panel * kPanel, projection.out.stride,
                 std::min<int64_t>(w.n - first_panel * kPanel, kWidePanels * kPanel), x.rows, first > 0});
  }
}

void BlockPanels(OpContext& context, const Projection& projection, Rows x, int64_t begin, int64_t end, int thread) {
  const Matrix& w = *projection.weight;
  const int64_t panel_bytes = PanelBytes(w.format, w.k);
  if (x.rows > kFewRows) {
    for (int64_t p = begin; p < end; p += kWidePanels) {
      WideGroup(context, projection, x, p, context.thread_scratch(thread));
    }
    return;
  }
  context.kernels().formats[static_cast<int>(w.format)].few(
      {w.panels.data() + begin * panel_bytes, panel_bytes, context.Quantised(w.k),
       projection.out.data + begin * kPanel, projection.out.stride, std::min(w.n, end * kPanel) - begin * kPanel,
       x.rows});
}

void PlainPanels(OpContext& context, const Projection& projection, Rows x, int64_t begin, int64_t end) {
  const Matrix& w = *projection.weight;
  context.kernels().formats[static_cast<int>(w.format)].product(
      {w.panels.data() + begin * PanelBytes(w.format, w.k), w.k * kPanel, kPanel, x.data, x.stride,
       projection.out.data + begin * kPanel, projection.out.stride, w.k,
       std::min(w.n, end * kPanel) - begin * kPanel, x.rows, false});
}

}  // namespace

int64_t MatMulScratchFloats() { return kBytesFloats + kScaleFloats + kMinFloats; }

void Project(OpContext& context, Rows x, std::initializer_list<Projection> projections) {
  if (x.rows == 0) return;
  bool blocks = false;
  int64_t work = 0;
  for (const Projection& p : projections) {
    work += p.weight->n * x.width * x.rows;
    LINNET_CHECK(p.weight->k == x.width && p.out.rows == x.rows && p.out.width == p.weight->n);
    blocks = blocks || p.weight->blocks();
  }
  if (blocks) {
    LINNET_CHECK(x.rows <= context.rows());
    QuantiseRows(context, x);
  }
  const int threads = context.pool().threads();
  context.pool().RunIfLarge(work, [&](int thread) {
    for (const Projection& p : projections) {
      // Whole groups of panels: a group cut in two would expand its neighbours' share twice.
      const bool wide = p.weight->blocks() && x.rows > kFewRows;
      const int64_t unit = wide ? kWidePanels : 1;
      const int64_t panels = PanelCount(p.weight->n);
      const int64_t units = (panels + unit - 1) / unit;
      const int64_t begin = std::min(panels, units * thread / threads * unit);
      const int64_t end = std::min(panels, units * (thread + 1) / threads * unit);
      if (begin >= end) continue;
      if (p.weight->blocks()) {
        BlockPanels(context, p, x, begin, end, thread);
      } else {
        PlainPanels(context, p, x, begin, end);
      }
    }
  });
}

}  // namespace linnet
