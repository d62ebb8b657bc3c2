#include "ops/matmul.h"

#include <algorithm>
#include <atomic>

#include "base/check.h"

namespace linnet {
namespace {

// Blocks of 32 inputs that are expanded at a time: 15 blocks of three panels are 23 KiB of bytes, so they stay in the
// first-level cache while all rows pass over them.
constexpr int64_t kChunkBlocks = 15;
constexpr int64_t kBytesFloats = kChunkBlocks * kWidePanels * kWideBytes / static_cast<int64_t>(sizeof(float));
constexpr int64_t kScaleFloats = kChunkBlocks * kWidePanels * 2 * kPanel;
constexpr int64_t kMinFloats = kChunkBlocks * kWidePanels * kPanel;

// Groups of panels that take turns on one chunk: of 512 rows the chunk is 256 KiB, a group's sums 96 KiB.
constexpr int64_t kWideGroups = 4;

// Panels that a thread takes at a time of products that expand nothing: a megabyte of a 12B layer's at most, whole
// tiles of panels.
constexpr int64_t kMostPanels = 32, kPanelUnit = 4;

bool IsWide(const OpContext& context, int64_t rows) { return rows > context.kernels().few_rows; }

int64_t RunLength(const OpContext& context, const Matrix& w, int64_t rows) {
  if (w.blocks() && IsWide(context, rows)) return kWideGroups * kWidePanels;
  const int64_t threads = context.pool().threads();
  const int64_t share = (PanelCount(w.n) + threads - 1) / threads;
  return std::min(kMostPanels, (share + kPanelUnit - 1) / kPanelUnit * kPanelUnit);
}

// Eight-bit activations of all rows in tiles; the last tile of the wide product is filled up with zeros.
void QuantiseRows(OpContext& context, Rows x) {
  const KernelTable& kernels = context.kernels();
  const OpContext::TileShape shape{IsWide(context, x.rows) ? kernels.wide_rows : x.rows, x.width / kActBlock,
                                   IsWide(context, x.rows) ? kernels.wide_group : kGroup};
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

// What a thread works on in the wide product.
struct WideScratch {
  uint8_t* bytes;
  float* scale;
  float* min;
  float* sums;  // of kWideGroups groups
};

WideScratch Carve(float* data) {
  WideScratch s;
  s.bytes = reinterpret_cast<uint8_t*>(data);
  s.scale = data + kBytesFloats;
  s.min = s.scale + kScaleFloats;
  s.sums = s.min + kMinFloats;
  return s;
}

int64_t GroupSums(int64_t rows) { return (rows + kMaxWideRows) * kWidePanels * kPanel; }

// One product with a run of its panels.
struct Work {
  const Matrix& w;
  Rows x;
  Rows out;
  int64_t begin, end;  // panels

  const FormatKernels& kernels(OpContext& context) const { return context.kernels().formats[static_cast<int>(w.format)]; }
  const uint8_t* panels() const { return w.panels.data() + begin * PanelBytes(w.format, w.k); }
  float* y() const { return out.data + begin * kPanel; }
  int64_t outputs() const { return std::min(w.n, end * kPanel) - begin * kPanel; }
  int64_t blocks() const { return w.k / kActBlock; }
};

// One chunk of K of at most kWidePanels panels against all rows.
void WideChunk(OpContext& context, const Work& group, int64_t first_block, const WideScratch& s) {
  const FormatKernels& format = group.kernels(context);
  const int64_t panel_bytes = PanelBytes(group.w.format, group.w.k);
  const int64_t scales = format.scales_per_block * kPanel;
  const int64_t count = std::min(kChunkBlocks, group.blocks() - first_block);
  for (int64_t p = 0; p < group.end - group.begin; ++p) {
    format.expand(group.panels() + p * panel_bytes, first_block, count,
                  {s.bytes + p * kWideBytes, s.scale + p * scales, s.min + p * kPanel, kWidePanels * kWideBytes,
                   kWidePanels * scales, kWidePanels * kPanel});
  }
  format.wide({s.bytes, s.scale, s.min, count, first_block, context.Tiles(group.w.k), s.sums,
               first_block + count == group.blocks(), group.y(), group.out.stride, group.outputs(), group.x.rows});
}

// A chunk of the rows serves all groups of the run from the second-level cache.
void WideRun(OpContext& context, const Work& run, float* scratch) {
  for (int64_t block = 0; block < run.blocks(); block += kChunkBlocks) {
    WideScratch s = Carve(scratch);
    for (int64_t panel = run.begin; panel < run.end; panel += kWidePanels) {
      WideChunk(context, {run.w, run.x, run.out, panel, std::min<int64_t>(run.end, panel + kWidePanels)}, block, s);
      s.sums += GroupSums(run.x.rows);
    }
  }
}

void MultiplyRun(OpContext& context, const Work& run, int thread) {
  const FormatKernels& format = run.kernels(context);
  if (!run.w.blocks()) {
    format.product({run.panels(), run.w.k * kPanel, kPanel, run.x.data, run.x.stride, run.y(), run.out.stride, run.w.k,
                    run.outputs(), run.x.rows, false});
  } else if (IsWide(context, run.x.rows)) {
    WideRun(context, run, context.thread_scratch(thread));
  } else {
    format.few({run.panels(), PanelBytes(run.w.format, run.w.k), context.Tiles(run.w.k), run.y(), run.out.stride,
                run.outputs(), run.x.rows});
  }
}

}  // namespace

int64_t MatMulScratchFloats(int64_t rows) {
  return kBytesFloats + kScaleFloats + kMinFloats + kWideGroups * GroupSums(rows);
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
  // Threads take runs of panels as they get to them: shared machines and mixed cores do not keep in step. Who computes
  // an output does not show in its bits.
  std::atomic<int64_t> next{0};
  context.pool().RunIfLarge(work, [&](int thread) {
    int64_t run = next.fetch_add(1, std::memory_order_relaxed), first = 0;
    for (const Projection& p : projections) {
      const int64_t panels = PanelCount(p.weight->n), length = RunLength(context, *p.weight, x.rows);
      const int64_t runs = (panels + length - 1) / length;
      for (; run < first + runs; run = next.fetch_add(1, std::memory_order_relaxed)) {
        const int64_t begin = (run - first) * length;
        MultiplyRun(context, {*p.weight, x, p.out, begin, std::min(panels, begin + length)}, thread);
      }
      first += runs;
    }
  });
}

}  // namespace linnet
