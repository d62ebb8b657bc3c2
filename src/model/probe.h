// Named intermediates of a forward pass, for comparison with a reference. Off unless asked: the decoder's
// probe pointer is null and a probe costs one test.
#pragma once

#include <cstdint>
#include <string_view>

#include "ops/context.h"

namespace linnet {

class Probe {
 public:
  virtual ~Probe() = default;
  // `layer` is -1 outside the layers. The rows are those of the current call, in the order of the batch.
  virtual void See(std::string_view name, int64_t layer, Rows rows) = 0;
};

}  // namespace linnet
