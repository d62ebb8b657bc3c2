#include "server/text_state.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <utility>

#include "base/memory_guard.h"
#include "runtime/engine_impl.h"

namespace linnet {

TextState::TextState(Session& session, std::vector<int32_t> ids)
    : session_(session),
      ids_(std::move(ids)),
      sum_(static_cast<size_t>(session.impl().engine.config.hidden_size)) {
  (void)session_.Truncate(0);  // which always works
}

TextState::~TextState() { (void)session_.Truncate(0); }

Status TextState::Read(int64_t tokens) {
  const size_t count = std::min(static_cast<size_t>(tokens), ids_.size() - read_);
  session_.impl().probe = this;
  const Status fed = session_.Feed(std::span(ids_).subspan(read_, count));
  session_.impl().probe = nullptr;
  LINNET_TRY(fed);
  read_ += count;
  return {};
}

void TextState::See(std::string_view name, int64_t, Rows rows) {
  if (name != "final_norm") return;
  for (int64_t r = 0; r < rows.rows; ++r) {
    const float* row = rows.row(r);
    for (size_t i = 0; i < sum_.size(); ++i) sum_[i] += static_cast<double>(row[i]);
  }
}

std::vector<float> TextState::Vector() const {
  double squares = 0;
  for (const double value : sum_) squares += value * value;
  const double scale = squares > 0 ? 1 / std::sqrt(squares) : 0;
  std::vector<float> vector;
  for (const double value : sum_) vector.push_back(static_cast<float>(value * scale));
  return vector;
}

}  // namespace linnet
