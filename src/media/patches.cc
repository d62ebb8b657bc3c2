#include "media/patches.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "base/check.h"
#include "media/resize.h"

namespace linnet {

Result<ImageTarget> TargetSize(int64_t height, int64_t width, int64_t budget, int64_t cell) {
  if (std::find(kImageBudgets.begin(), kImageBudgets.end(), budget) == kImageBudgets.end()) {
    return Fail(ErrorCode::kInvalidArgument, fmt::format("an image budget of {} tokens", budget),
                fmt::format("choose one of {}", fmt::join(kImageBudgets, ", ")));
  }
  if (height < 1 || width < 1 || height > kMaxPictureSide || width > kMaxPictureSide || cell < 1 ||
      cell > 1024) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("a picture of {} x {} pixels in cells of {}", width, height, cell));
  }
  // The order of these float64 operations is the reference's: an exact square root may come out just below
  // the integer, and then a row or column is lost there too.
  const double target = static_cast<double>(budget * cell * cell);
  const double factor = std::sqrt(target / static_cast<double>(height * width));
  const double side = static_cast<double>(cell);
  ImageTarget result;
  result.height = static_cast<int64_t>(std::floor(factor * static_cast<double>(height) / side)) * cell;
  result.width = static_cast<int64_t>(std::floor(factor * static_cast<double>(width) / side)) * cell;
  if (result.height == 0) {
    result.height = cell;
    result.width = std::min(width / height * cell, budget * cell);
  } else if (result.width == 0) {
    result.width = cell;
    result.height = std::min(height / width * cell, budget * cell);
  }
  result.rows = result.height / cell;
  result.columns = result.width / cell;
  result.soft_tokens = result.rows * result.columns;
  LINNET_CHECK(result.soft_tokens > 0 && result.soft_tokens <= budget);
  return result;
}

void ScalePixels(std::span<const uint8_t> pixels, PixelScale scale, std::span<float> out) {
  LINNET_CHECK(pixels.size() == out.size());
  if (scale == PixelScale::kProduct) {
    std::ranges::transform(pixels, out.begin(), [](uint8_t byte) {
      return static_cast<float>(byte) * static_cast<float>(1.0 / 255.0);
    });
  } else {
    std::ranges::transform(pixels, out.begin(),
                           [](uint8_t byte) { return static_cast<float>(byte) / 255.0f; });
  }
}

PatchRows CutPatches(const Picture& picture, int64_t cell) {
  LINNET_CHECK(cell > 0 && picture.height % cell == 0 && picture.width % cell == 0);
  const int64_t rows = picture.height / cell, columns = picture.width / cell;
  PatchRows result;
  result.rows = rows * columns;
  result.pixels.resize(static_cast<size_t>(3 * picture.height * picture.width));
  result.positions.reserve(static_cast<size_t>(2 * result.rows));
  uint8_t* out = result.pixels.data();
  for (int64_t gy = 0; gy < rows; ++gy) {
    for (int64_t gx = 0; gx < columns; ++gx) {
      for (int64_t y = gy * cell; y < (gy + 1) * cell; ++y) {
        out = std::copy_n(&picture.rgb[static_cast<size_t>(3 * (y * picture.width + gx * cell))], 3 * cell,
                          out);
      }
      result.positions.push_back(static_cast<int32_t>(gx));
      result.positions.push_back(static_cast<int32_t>(gy));
    }
  }
  return result;
}

Result<PatchRows> PreparePicture(const Picture& picture, int64_t budget, int64_t cell) {
  LINNET_ASSIGN(const ImageTarget target, TargetSize(picture.height, picture.width, budget, cell));
  if (target.height == picture.height && target.width == picture.width) return CutPatches(picture, cell);
  return CutPatches(Resize(picture, target.height, target.width), cell);
}

}  // namespace linnet
