// What a model makes of a text, as one vector: the mean over its tokens of their states behind the last norm,
// scaled to length 1. The model was not trained to compare texts by it.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "linnet/error.h"
#include "linnet/session.h"
#include "model/probe.h"

namespace linnet {

// Reads a text piece by piece. The bits do not depend on how it was cut.
//
// Thread safety: the engine's thread.
class TextState : public Probe {
 public:
  // Nothing else may use the session until this is gone, which leaves it empty.
  TextState(Session& session, std::vector<int32_t> ids);
  ~TextState() override;
  TextState(const TextState&) = delete;
  TextState& operator=(const TextState&) = delete;

  // So many tokens more. Errors: those of Session::Feed.
  Status Read(int64_t tokens);
  bool done() const { return read_ == ids_.size(); }
  // REQUIRES: done().
  std::vector<float> Vector() const;

  void See(std::string_view name, int64_t layer, Rows rows) override;

 private:
  Session& session_;
  std::vector<int32_t> ids_;
  size_t read_ = 0;
  std::vector<double> sum_;  // (D)
};

}  // namespace linnet
