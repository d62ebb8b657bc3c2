#include "ops/matmul.h"

#include <algorithm>
#include <atomic>
#include <limits>
#include <optional>
#include <span>

#include "base/check.h"
#include "kernels/dispatch.h"

namespace linnet {
namespace {

// Blocks of 32 inputs that are expanded at a time: 15 blocks of three panels are 23 KiB of bytes, so they
// stay in the first-level cache while all rows pass over them.
constexpr int64_t kChunkBlocks = 15;
constexpr int64_t kBytesFloats =
    kChunkBlocks * kWidePanels * kWideBytes / static_cast<int64_t>(sizeof(float));
constexpr int64_t kScaleFloats = kChunkBlocks * kWidePanels * 2 * kPanel;
constexpr int64_t kMinFloats = kChunkBlocks * kWidePanels * kPanel;

// Groups of panels that take turns on one chunk: of 512 rows the chunk is 256 KiB, a group's sums 96 KiB.
constexpr int64_t kWideGroups = 4;

// Panels of the register tiles of few rows, and of float products: runs are whole multiples.
constexpr int64_t kFewUnit = 4;

bool IsWide(const OpContext& context, int64_t rows) { return rows > context.kernels().few_rows; }

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

// Shares the panels of several products out over threads: each takes a part of what is left, so that runs are
// long at first and the threads finish together, although shared machines and mixed cores do not keep in
// step. Who computes an output does not show in its bits.
class Panels {
 public:
  struct Run {
    const Projection* projection;
    int64_t begin, end;
  };

  Panels(std::span<const Projection> projections, int64_t threads, bool wide)
      : projections_(projections), threads_(threads), unit_(wide ? kWidePanels : kFewUnit) {
    most_ = wide ? kWideGroups : std::numeric_limits<int64_t>::max();
    for (const Projection& p : projections_) units_ += Units(p);
  }

  std::optional<Run> Take() {
    int64_t begin = next_.load(std::memory_order_relaxed), end = 0;
    do {
      if (begin >= units_) return std::nullopt;
      end = begin + std::clamp<int64_t>((units_ - begin) / (2 * threads_), 1, most_);
      end = std::min(end, EndOfProjection(begin));
    } while (!next_.compare_exchange_weak(begin, end, std::memory_order_relaxed));
    const Projection* p = projections_.data();
    for (; begin >= Units(*p); ++p) begin -= Units(*p), end -= Units(*p);
    return Run{p, begin * unit_, std::min(end * unit_, PanelCount(p->weight->n))};
  }

 private:
  int64_t Units(const Projection& p) const { return (PanelCount(p.weight->n) + unit_ - 1) / unit_; }
  int64_t EndOfProjection(int64_t unit) const {
    int64_t end = 0;
    for (const Projection& p : projections_) {
      end += Units(p);
      if (unit < end) break;
    }
    return end;
  }

  std::span<const Projection> projections_;
  int64_t threads_, unit_, most_, units_ = 0;
  std::atomic<int64_t> next_{0};
};

// One product with a run of its panels.
struct Work {
  const Matrix& w;
  Rows x;
  Rows out;
  int64_t begin, end;  // panels

  const FormatKernels& kernels(OpContext& context) const {
    return context.kernels().formats[static_cast<int>(w.format)];
  }
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
                  {s.bytes + p * kWideBytes, s.scale + p * scales, s.min + p * kPanel,
                   kWidePanels * kWideBytes, kWidePanels * scales, kWidePanels * kPanel});
  }
  format.wide({s.bytes, s.scale, s.min, count, first_block, context.Tiles(group.w.k), s.sums,
               first_block + count == group.blocks(), group.y(), group.out.stride, group.outputs(),
               group.x.rows});
}

// A chunk of the rows serves all groups of the run from the second-level cache.
void WideRun(OpContext& context, const Work& run, float* scratch) {
  for (int64_t block = 0; block < run.blocks(); block += kChunkBlocks) {
    WideScratch s = Carve(scratch);
    for (int64_t panel = run.begin; panel < run.end; panel += kWidePanels) {
      WideChunk(context, {run.w, run.x, run.out, panel, std::min<int64_t>(run.end, panel + kWidePanels)},
                block, s);
      s.sums += GroupSums(run.x.rows);
    }
  }
}

void MultiplyRun(OpContext& context, const Work& run, int thread) {
  const FormatKernels& format = run.kernels(context);
  if (!run.w.blocks()) {
    format.product({run.panels(), run.w.k * kPanel, kPanel, run.x.data, run.x.stride, run.y(), run.out.stride,
                    run.w.k, run.outputs(), run.x.rows, false});
  } else if (IsWide(context, run.x.rows)) {
    WideRun(context, run, context.thread_scratch(thread));
  } else {
    format.few({run.panels(), PanelBytes(run.w.format, run.w.k), context.Tiles(run.w.k), run.y(),
                run.out.stride, run.outputs(), run.x.rows, AheadFor(run.x.rows)});
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
  Panels shares(projections, context.pool().threads(), IsWide(context, x.rows));
  context.pool().RunIfLarge(work, [&](int thread) {
    while (const std::optional<Panels::Run> run = shares.Take()) {
      const Projection& p = *run->projection;
      MultiplyRun(context, {*p.weight, x, p.out, run->begin, run->end}, thread);
    }
  });
}

}  // namespace linnet
