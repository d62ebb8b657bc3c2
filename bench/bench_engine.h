// What the benchmarks of engines share.
#pragma once

#include <cstdlib>
#include <memory>
#include <string>
#include <utility>

#include <fmt/core.h>

#include "linnet/engine.h"
#include "linnet/error.h"
#include "quant/synthetic.h"
#include "runtime/engine_impl.h"

namespace linnet {

// Ends the program where there is an error.
inline void Must(const Status& status) {
  if (status) return;
  fmt::print(stderr, "{}\n", status.error().Message());
  std::exit(1);
}

template <typename T>
T Must(Result<T> result) {
  if (!result) Must(Status(std::unexpected(result.error())));
  return std::move(*result);
}

// `shape` as in MakeSynthetic; empty = Chick.
inline std::unique_ptr<Engine> OpenEngine(const std::string& shape) {
  if (shape.empty()) return Must(Engine::Load({}));
  SyntheticModel synthetic = Must(MakeSynthetic(shape, false));
  return Must(EngineOf({std::move(synthetic.config), *synthetic.source}, 0));
}

}  // namespace linnet
