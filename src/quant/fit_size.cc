#include "quant/fit_size.h"

#include <fmt/format.h>

#include <optional>

namespace linnet {
namespace {

struct SizeStep {
  size_t matrix = 0, choice = 0;
  double gain = 0;  // loss saved a byte
};

}  // namespace

Result<std::vector<size_t>> ChooseWithin(std::span<const std::vector<SizeChoice>> choices, uint64_t room) {
  std::vector<size_t> chosen(choices.size(), 0);
  uint64_t used = 0;
  for (const auto& of_matrix : choices) used += of_matrix[0].bytes;
  if (used > room) {
    return Fail(
        ErrorCode::kInvalidArgument,
        fmt::format("the smallest formats take {} bytes of matrices, there is room for {}", used, room),
        "give more");
  }
  for (;;) {
    std::optional<SizeStep> best;
    for (size_t m = 0; m < choices.size(); ++m) {
      const SizeChoice& now = choices[m][chosen[m]];
      for (size_t c = chosen[m] + 1; c < choices[m].size(); ++c) {
        const SizeChoice& other = choices[m][c];
        if (other.bytes <= now.bytes || used + (other.bytes - now.bytes) > room) continue;
        const double gain = (now.loss - other.loss) / static_cast<double>(other.bytes - now.bytes);
        if (gain > 0 && (!best || gain > best->gain)) best = SizeStep{m, c, gain};
      }
    }
    if (!best) return chosen;
    used += choices[best->matrix][best->choice].bytes - choices[best->matrix][chosen[best->matrix]].bytes;
    chosen[best->matrix] = best->choice;
  }
}

}  // namespace linnet
