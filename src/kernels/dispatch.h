// Chooses the kernel table once. The list is ordered, the first that the processor supports wins; the
// environment variable LINNET_ISA names another one.
#pragma once

#include <string>
#include <vector>

#include "kernels/kernels.h"
#include "linnet/error.h"

namespace linnet {

// The table in use. Where LINNET_ISA names none that can run, the best one: CheckIsa refuses it before.
const KernelTable& Kernels();

// Every table that this processor can run, best first; `scalar` is always the last.
std::vector<const KernelTable*> SupportedKernels();

// How far ahead a product of so many rows asks for its weights on this processor (measured: bench/README.md).
Ahead AheadFor(int64_t rows);

// Errors: kInvalidArgument where LINNET_ISA names no table that this processor can run.
Status CheckIsa();

}  // namespace linnet
