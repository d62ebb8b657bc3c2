// Rotary position embedding: pairs (i, i + E/2), angles pos * inv_freq in float32 as the reference forms
// them.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "ops/context.h"

namespace linnet {

// inv_freq[i] = 1 / theta^(2i / head_dim) / linear_factor for the first `rotated_pairs` pairs. Pairs beyond
// them do not rotate and are left out.
std::vector<float> InverseFrequencies(double theta, double linear_factor, int64_t head_dim,
                                      int64_t rotated_pairs);

// Cosines and sines (T, pairs) of the given positions.
void FillRopeTable(std::span<const float> inverse_frequencies, std::span<const int64_t> positions, Rows cos,
                   Rows sin);

// Rotates every head of x (T, heads * head_dim) in place. cos and sin are (T, pairs), pairs <= head_dim / 2.
void Rope(OpContext& context, Rows x, int64_t head_dim, Rows cos, Rows sin);

}  // namespace linnet
