// Chooses the kernel table once. The list is ordered, the first that the processor supports wins; the
// environment variable LINNET_ISA names another one.
#pragma once

#include <string>
#include <vector>

#include "kernels/kernels.h"

namespace linnet {

// The table in use. An unknown or unsupported LINNET_ISA is ignored (IsaWarning tells).
const KernelTable& Kernels();

// Every table that this processor can run, best first; `scalar` is always the last.
std::vector<const KernelTable*> SupportedKernels();

// How far ahead a product of so many rows asks for its weights on this processor (measured: bench/README.md).
Ahead AheadFor(int64_t rows);

// What is wrong with LINNET_ISA, or empty.
std::string IsaWarning();

}  // namespace linnet
