// From a picture to what the model's image embedder takes: the size rule, cells of raw pixels, their
// positions.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "linnet/error.h"
#include "media/picture.h"

namespace linnet {

inline constexpr int64_t kCell = 48;  // pixels a side of one soft token: patches of 16, pooled by 3
inline constexpr std::array<int64_t, 5> kImageBudgets = {70, 140, 280, 560, 1120};

struct ImageTarget {
  int64_t height = 0, width = 0;  // multiples of the cell
  int64_t rows = 0, columns = 0;  // of the grid
  int64_t soft_tokens = 0;        // rows * columns <= budget
};

// The size a picture of height x width is resized to: as large as the budget of soft tokens allows, up or
// down. Errors: kInvalidArgument for a budget that is not one of kImageBudgets, a side of 0, or a cell
// below 1.
Result<ImageTarget> TargetSize(int64_t height, int64_t width, int64_t budget, int64_t cell = kCell);

// Pictures multiply by float32(1/255), video frames divide by 255: the last bit differs for half of the
// values.
enum class PixelScale { kProduct, kDivision };

// Writes the values in 0..1 of as many pixels. REQUIRES: `out` has their size.
void ScalePixels(std::span<const uint8_t> pixels, PixelScale scale, std::span<float> out);

struct PatchRows {
  int64_t rows = 0;                // n soft tokens
  std::vector<uint8_t> pixels;     // (n, cell * cell * 3); row, column, channel inside a cell
  std::vector<int32_t> positions;  // (n, 2): x, y in the grid, row by row
};

// REQUIRES: both sides are multiples of the cell.
PatchRows CutPatches(const Picture& picture, int64_t cell = kCell);

// Resize and cut in one.
Result<PatchRows> PreparePicture(const Picture& picture, int64_t budget, int64_t cell = kCell);

}  // namespace linnet
