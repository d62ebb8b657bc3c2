#include "eval/golden_file.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "io/safetensors.h"
#include "tensor/block_format.h"

namespace linnet {
namespace {

ProbeResult Differs(const std::string& name, std::string note) {
  ProbeResult result;
  result.name = name;
  result.deviation = INFINITY;
  result.note = std::move(note);
  return result;
}

std::string Sizes(size_t found, int64_t expected) {
  return "has " + std::to_string(found) + " elements, expected " + std::to_string(expected);
}

}  // namespace

Result<GoldenFile> ReadGolden(const std::filesystem::path& path) {
  LINNET_ASSIGN(const std::unique_ptr<Safetensors> file, Safetensors::Open(path));
  GoldenFile golden;
  std::vector<uint8_t> scratch;
  for (const TensorInfo& info : file->tensors()) {
    GoldenTensor tensor;
    tensor.shape = info.shape;
    const std::span<const uint8_t> bytes = file->Bytes(info, 0, info.bytes, scratch);
    const size_t elements = static_cast<size_t>(info.elements());
    if (info.dtype == Dtype::kI32) {
      tensor.integer = true;
      tensor.integers.resize(elements);
      std::memcpy(tensor.integers.data(), bytes.data(), bytes.size());
    } else if (info.dtype == Dtype::kI64) {
      return Fail(ErrorCode::kUnsupported, path.string() + ": tensor " + info.name + " is int64",
                  "store int32");
    } else {
      tensor.values.resize(elements);
      DecodeRow(info.dtype, bytes.data(), tensor.values);
    }
    golden.emplace(info.name, std::move(tensor));
  }
  return golden;
}

ProbeResult Compare(const std::string& name, std::span<const float> found, const GoldenTensor& expected,
                    Tolerance tolerance) {
  if (expected.integer) return Differs(name, "is stored as integers");
  if (expected.values.empty()) return Differs(name, "is empty: there is nothing to compare with");
  if (found.size() != expected.values.size()) return Differs(name, Sizes(found.size(), expected.elements()));
  ProbeResult result;
  result.name = name;
  double largest = 0;
  size_t worst = 0;
  for (size_t i = 0; i < found.size(); ++i) {
    const double deviation = std::fabs(double{found[i]} - expected.values[i]);
    if (!(deviation <= result.deviation)) {  // a NaN is worst of all
      result.deviation = std::isnan(deviation) ? INFINITY : deviation;
      worst = i;
      if (std::isnan(deviation)) break;
    }
    largest = std::max(largest, std::fabs(double{expected.values[i]}));
  }
  for (const float value : expected.values) largest = std::max(largest, std::fabs(double{value}));
  result.bound = tolerance.atol + tolerance.rtol * largest;
  result.pass = result.deviation <= result.bound;
  if (!result.pass) {
    result.note = "element " + std::to_string(worst) + " is " + std::to_string(found[worst]) + ", expected " +
                  std::to_string(expected.values[worst]);
  }
  return result;
}

ProbeResult CompareIntegers(const std::string& name, std::span<const int32_t> found,
                            const GoldenTensor& expected) {
  if (!expected.integer) return Differs(name, "is stored as float32");
  if (found.size() != expected.integers.size())
    return Differs(name, Sizes(found.size(), expected.elements()));
  ProbeResult result;
  result.name = name;
  for (size_t i = 0; i < found.size(); ++i) {
    if (found[i] == expected.integers[i]) continue;
    if (result.deviation == 0) {
      result.note = "element " + std::to_string(i) + " is " + std::to_string(found[i]) + ", expected " +
                    std::to_string(expected.integers[i]);
    }
    result.deviation += 1;
  }
  result.pass = result.deviation == 0;
  return result;
}

void Conclude(CaseResult& result, std::vector<ProbeResult> probes) {
  const auto share = [](const ProbeResult& probe) {
    if (probe.bound > 0) return probe.deviation / probe.bound;
    return probe.deviation > 0 ? INFINITY : 0.0;
  };
  result.state = CaseState::kPass;
  if (probes.empty()) {
    result.state = CaseState::kFail;
    result.note = "there was nothing to compare";
  }
  double worst = -1;
  for (const ProbeResult& probe : probes) {
    if (share(probe) > worst) {
      worst = share(probe);
      result.deviation = probe.deviation;
      result.bound = probe.bound;
    }
    if (probe.pass) continue;
    if (result.state == CaseState::kPass) result.note = probe.name + ": " + probe.note;
    result.state = CaseState::kFail;
  }
  result.probes = std::move(probes);
}

}  // namespace linnet
