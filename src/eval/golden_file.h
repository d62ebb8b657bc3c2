// A file of reference tensors, and the comparison of a result with one of them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "eval/parity.h"
#include "linnet/error.h"

namespace linnet {

struct GoldenTensor {
  std::vector<int64_t> shape;
  bool integer = false;
  std::vector<float> values;      // float32 tensors
  std::vector<int32_t> integers;  // int32 tensors

  int64_t elements() const { return static_cast<int64_t>(integer ? integers.size() : values.size()); }
};

// Every tensor of a safetensors file by name. Errors: kNotFound, kBadFile.
using GoldenFile = std::map<std::string, GoldenTensor>;
Result<GoldenFile> ReadGolden(const std::filesystem::path& path);

// max |a - b| <= atol + rtol * max |b|; a NaN or another number of elements is a failure.
struct Tolerance {
  double rtol = 0;
  double atol = 0;
};
ProbeResult Compare(const std::string& name, std::span<const float> found, const GoldenTensor& expected,
                    Tolerance tolerance);
ProbeResult CompareIntegers(const std::string& name, std::span<const int32_t> found,
                            const GoldenTensor& expected);

// Puts the probes into the case: it passes if all do and there is at least one; deviation and bound are those
// of the probe nearest to (or furthest beyond) its bound.
void Conclude(CaseResult& result, std::vector<ProbeResult> probes);

}  // namespace linnet
