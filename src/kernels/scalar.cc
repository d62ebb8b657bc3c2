#include "kernels/kernels.h"

namespace linnet {
namespace {

#include "kernels/isa_scalar.inc"

#include "kernels/lanes.inc"
#include "kernels/elementwise.inc"
#include "kernels/panel_formats.inc"
#include "kernels/limits.inc"
#include "kernels/pairs_fma.inc"
#include "kernels/cache.inc"
#include "kernels/products.inc"

}  // namespace

const KernelTable* ScalarKernels() { return &kTable; }

}  // namespace linnet
