#include "ops/matmul.h"

#include <algorithm>

#include "base/check.h"

namespace linnet {
namespace {

// Blocks of 32 inputs that are expanded at a time: 16 blocks of three panels are 24 KiB of bytes, so they stay in the
// first-level cache while all rows pass over them.
constexpr int64_t kChunkBlocks = 16;
constexpr int64_t kBytesFloats = kChunkBlocks * kWidePanels * kWideBytes / static_cast<int64_t>(sizeof(float));
constexpr int64_t kScaleFloats = kChunkBlocks * kWidePanels * 2 * kPanel;
constexpr int64_t kMinFloats = kChunkBlocks * kWidePanels * kPanel;

bool IsWide(const OpContext& context, int64_t rows) { return rows > context.kernels().few_rows; }

// Eight-bit activations of all rows in tiles; the last tile of the wide product is filled up with zeros.
void QuantiseRows(OpContext& context, Rows x) {
  const KernelTable& kernels = context.kernels();
  const bool wide = IsWide(context, x.rows);
  const OpContext::TileShape shape{wide ? kernels.wide_rows : x.rows, x.width / kActBlock,
                                   wide ? kernels.wide_group : kGroup};
  const auto range = [&](int64_t begin, int64_t end, int) {
    for (int64_t tile = begin; tile < end; ++tile) {
      const int64_t first = tile * shape.rows, rows = std::min(shape.rows, x.rows - first);
      if (rows < shape.rows) context.ClearTile(shape, tile);
      for (int64_t lane = 0; lane < rows; ++lane) {
        kernels.quantise_row(x.row(first + lane), x.width, context.Lane(shape, tile, lane));
      }
    }
  };
  context.pool().For((x.rows + shape.rows - 1) / shape.rows, range, 4 * x.rows * x.width);
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
  float* sums = min + kMinFloats;
  const int64_t blocks = w.k / kActBlock;
  for (int64_t first = 0; first < blocks; first += kChunkBlocks) {
    const int64_t count = std::min(kChunkBlocks, blocks - first);
    for (int64_t p = 0; p < panels; ++p) {
      format.expand(w.panels.data() + (first_panel + p) * panel_bytes, first, count,
                    {bytes + p * kWideBytes, scale + p * scales, min + p * kPanel, kWidePanels * kWideBytes,
                     kWidePanels * scales, kWidePanels * kPanel});
    }
    format.wide({bytes, scale, min, count, first, context.Tiles(w.k), sums, first + count == blocks,
                 projection.out.data + first_panel * kPanel, projection.out.stride,
                 std::min<int64_t>(w.n - first_panel * kPanel, kWidePanels * kPanel), x.rows});
  }
}

void BlockPanels(OpContext& context, const Projection& projection, Rows x, int64_t begin, int64_t end, int thread) {
  const Matrix& w = *projection.weight;
  const int64_t panel_bytes = PanelBytes(w.format, w.k);
  if (IsWide(context, x.rows)) {
    for (int64_t p = begin; p < end; p += kWidePanels) {
      WideGroup(context, projection, x, p, context.thread_scratch(thread));
    }
    return;
  }
  context.kernels().formats[static_cast<int>(w.format)].few(
      {w.panels.data() + begin * panel_bytes, panel_bytes, context.Tiles(w.k),
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

int64_t MatMulScratchFloats(int64_t rows) {
  return kBytesFloats + kScaleFloats + kMinFloats + (rows + kMaxWideRows) * kWidePanels * kPanel;
}

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
      const bool wide = p.weight->blocks() && IsWide(context, x.rows);
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
