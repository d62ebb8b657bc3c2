// Products of activations with packed weights: y = x Wᵀ. Which kernel serves which format and row count is
// decided here and nowhere else; the bits of a row do not depend on it.
#pragma once

#include <cstdint>
#include <initializer_list>

#include "ops/context.h"
#include "ops/matrix.h"

namespace linnet {

// One product of a Project() call.
struct Projection {
  const Matrix* weight;  // (N, K)
  Rows out;              // (T, N)
};

// All projections of the same input. x is (T, K); block formats multiply the input rounded to eight bits a
// value with a scale for every 32, plain formats multiply it as it is. REQUIRES: context.Reserve() covers T
// and K; every weight's k is x.width; out rows are T.
void Project(OpContext& context, Rows x, std::initializer_list<Projection> projections);

inline void MatMul(OpContext& context, const Matrix& weight, Rows x, Rows out) {
  Project(context, x, {{&weight, out}});
}

// Of one thread, for calls of up to `rows` rows.
int64_t MatMulScratchFloats(int64_t rows);

}  // namespace linnet
