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

// How the rows of a call lie in tiles: the first wide_tiles have `wide` rows, the others `narrow`.
struct RowSplit {
  int64_t wide, narrow, wide_tiles, tiles;

  int64_t First(int64_t tile) const {
    return std::min(tile, wide_tiles) * wide + std::max<int64_t>(tile - wide_tiles, 0) * narrow;
  }
};

// Narrow tiles take the place of wide ones, so that few lanes or none are filled up with zeros.
RowSplit SplitRows(const OpContext& context, int64_t rows) {
  if (!IsWide(context, rows)) return {rows, rows, 1, 1};
  const int64_t wide = context.kernels().wide_rows, narrow = context.kernels().narrow_rows;
  const int64_t tiles = (rows + wide - 1) / wide, spare = tiles * wide - rows;
  const int64_t narrow_tiles = narrow == wide ? 0 : std::min(tiles, spare / (wide - narrow));
  return {wide, narrow, tiles - narrow_tiles, tiles};
}

// Eight-bit activations of all rows in tiles.
void QuantiseRows(OpContext& context, Rows x) {
  const KernelTable& kernels = context.kernels();
  const RowSplit split = SplitRows(context, x.rows);
  const int group = IsWide(context, x.rows) ? kernels.wide_group : kGroup;
  const auto range = [&](int64_t begin, int64_t end, int) {
    for (int64_t t = begin; t < end; ++t) {
      const int64_t first = split.First(t);
      const OpContext::Tile tile{first, split.First(t + 1) - first, x.width / kActBlock, group};
      const int64_t rows = std::min(tile.rows, x.rows - first);
      if (rows < tile.rows) context.Clear(tile);
      for (int64_t lane = 0; lane < rows; ++lane) {
        kernels.quantise_row(x.row(first + lane), x.width, context.Lane(tile, lane));
      }
    }
  };
  context.pool().For(split.tiles, range, 4 * x.rows * x.width);
}

// What a thread works on in the wide product.
struct WideScratch {
  WideBlocks expanded;
  float* sums;  // of kWideGroups groups
};

WideScratch Carve(float* data) {
  float* scales = data + kBytesFloats;
  float* mins = scales + kScaleFloats;
  return {{reinterpret_cast<uint8_t*>(data), scales, mins}, mins + kMinFloats};
}

int64_t GroupSums(int64_t rows) { return (rows + kMaxWideRows) * kWidePanels * kPanel; }

// One product with a run of its panels.
struct Work {
  const Matrix* w;
  Rows x;
  Rows out;
  int64_t begin, end;  // panels

  const FormatKernels& kernels(OpContext& context) const {
    return context.kernels().formats[static_cast<int>(w->format)];
  }
  int64_t panel_bytes() const { return PanelBytes(w->format, w->k); }
  const uint8_t* panels() const { return w->panels.data() + begin * panel_bytes(); }
  float* y() const { return out.data + begin * kPanel; }
  int64_t outputs() const { return std::min(w->n, end * kPanel) - begin * kPanel; }
  int64_t blocks() const { return w->k / kActBlock; }
  Work Group(int64_t panel) const { return {w, x, out, panel, std::min<int64_t>(end, panel + kWidePanels)}; }
};

// Shares the panels of several products out over threads: each takes a part of what is left, so that runs are
// long at first and the threads finish together, although shared machines and mixed cores do not keep in
// step. Who computes an output does not show in its bits.
class Panels {
 public:
  Panels(std::span<const Projection> projections, int64_t threads, bool wide)
      : projections_(projections), threads_(threads), unit_(wide ? kWidePanels : kFewUnit) {
    most_ = wide ? kWideGroups : std::numeric_limits<int64_t>::max();
    for (const Projection& p : projections_) units_ += Units(p);
  }

  std::optional<Work> Take(Rows x) {
    int64_t begin = next_.load(std::memory_order_relaxed), end = 0;
    do {
      if (begin >= units_) return std::nullopt;
      end = begin + std::clamp<int64_t>((units_ - begin) / (2 * threads_), 1, most_);
      end = std::min(end, EndOfProjection(begin));
    } while (!next_.compare_exchange_weak(begin, end, std::memory_order_relaxed));
    const Projection* p = projections_.data();
    for (; begin >= Units(*p); ++p) begin -= Units(*p), end -= Units(*p);
    return Work{p->weight, x, p->out, begin * unit_, std::min(end * unit_, PanelCount(p->weight->n))};
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

// The chunk of K from `block` on of the panels from `panel` on.
NextBlocks ChunkAt(const Work& run, int64_t panel, int64_t block) {
  const int64_t bytes = run.panel_bytes() / run.blocks();  // of a block
  return {run.w->panels.data() + panel * run.panel_bytes() + block * bytes, run.panel_bytes(),
          std::min(kChunkBlocks, run.blocks() - block) * bytes};
}

// What comes after the chunk from `block` on of the group from `panel` on: the next group, the next chunk,
// or the next run.
NextBlocks After(const Work& run, int64_t panel, int64_t block, const NextBlocks& next_run) {
  if (panel + kWidePanels < run.end) return ChunkAt(run, panel + kWidePanels, block);
  if (block + kChunkBlocks < run.blocks()) return ChunkAt(run, run.begin, block + kChunkBlocks);
  return next_run;
}

// A chunk of the rows serves all groups of the run from the second-level cache.
void WideRun(OpContext& context, const Work& run, const NextBlocks& next_run, float* scratch) {
  const RowSplit split = SplitRows(context, run.x.rows);
  for (int64_t block = 0; block < run.blocks(); block += kChunkBlocks) {
    WideScratch s = Carve(scratch);
    for (int64_t panel = run.begin; panel < run.end; panel += kWidePanels) {
      const Work group = run.Group(panel);
      const int64_t count = std::min(kChunkBlocks, run.blocks() - block);
      run.kernels(context).wide({group.panels(), run.panel_bytes(), block, count, s.expanded,
                                 context.Tiles(run.w->k), split.tiles, split.wide_tiles, s.sums,
                                 block + count == run.blocks(), group.y(), run.out.stride, group.outputs(),
                                 run.x.rows, After(run, panel, block, next_run)});
      s.sums += GroupSums(run.x.rows);
    }
  }
}

void MultiplyRun(OpContext& context, const Work& run, const NextBlocks& next_run, int thread) {
  const FormatKernels& format = run.kernels(context);
  if (!run.w->blocks()) {
    format.product({run.panels(), run.w->k * kPanel, kPanel, run.x.data, run.x.stride, run.y(),
                    run.out.stride, run.w->k, run.outputs(), run.x.rows, false});
  } else if (IsWide(context, run.x.rows)) {
    WideRun(context, run, next_run, context.thread_scratch(thread));
  } else {
    format.few({run.panels(), run.panel_bytes(), context.Tiles(run.w->k), run.y(), run.out.stride,
                run.outputs(), run.x.rows, AheadFor(run.x.rows)});
  }
}

// A wide run is taken before the one ahead of it is done, whose end asks for its first weights.
void MultiplyAll(OpContext& context, Panels& shares, Rows x, int thread) {
  const bool wide = IsWide(context, x.rows);
  std::optional<Work> next;
  for (std::optional<Work> run = shares.Take(x); run; run = wide ? next : shares.Take(x)) {
    if (wide) next = shares.Take(x);
    const bool ask = next && next->w->blocks();
    MultiplyRun(context, *run, ask ? ChunkAt(*next, next->begin, 0) : NextBlocks{}, thread);
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
  context.pool().RunIfLarge(work, [&](int thread) { MultiplyAll(context, shares, x, thread); });
}

}  // namespace linnet
