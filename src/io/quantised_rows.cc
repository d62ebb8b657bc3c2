#include "io/quantised_rows.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/bf16.h"
#include "base/check.h"
#include "tensor/block_format.h"
#include "tensor/load.h"
#include "tensor/small_float.h"

namespace linnet {
namespace {

constexpr int64_t kBlock = 32;  // elements of the block formats that whole numbers are stored in

// Bits [begin, begin + bits) of a little-endian stream whose words of 32 bits lie `stride` words apart; at
// most 8 bits, of which none is beyond the end.
int BitsAt(const uint8_t* stream, int64_t begin, int bits, int64_t stride = 1) {
  const auto byte = [&](int64_t at) { return static_cast<unsigned>(stream[at / 4 * stride * 4 + at % 4]); };
  const int shift = static_cast<int>(begin % 8);
  unsigned word = byte(begin / 8);
  if (shift + bits > 8) word |= byte(begin / 8 + 1) << 8;
  return static_cast<int>((word >> shift) & ((1u << bits) - 1));
}

// AWQ: where in a word the nibble of row 8 c + r lies.
constexpr int kAwqNibble[8] = {0, 4, 1, 5, 2, 6, 3, 7};

int AwqAt(const uint8_t* words, int64_t row) { return NibbleAt(words + row / 8 * 4, kAwqNibble[row % 8]); }

float PlainAt(Dtype dtype, const uint8_t* values, int64_t index) {
  float value = 0;
  DecodeRow(dtype, values + RowBytes(dtype, static_cast<uint64_t>(index)), std::span(&value, 1));
  return value;
}

int64_t FactorIndex(const MatrixParts& m, int64_t row, int64_t group) {
  if (m.one_factor) return 0;
  return m.groups_first ? group * m.rows + row : row / m.block_rows * m.groups() + group;
}

float FactorAt(const MatrixParts& m, int64_t row, int64_t group) {
  const int64_t i = FactorIndex(m, row, group);
  // The elements of E2M1 are read twice as large.
  const float half = m.fields == ElementFields::kE2m1 ? 0.5f : 1.0f;
  switch (m.factors) {
    case Factors::kE8m0:
      return std::ldexp(half, m.scales[static_cast<size_t>(i)] - 127);
    case Factors::kE4m3:
      return half * (E4m3ToFloat(m.scales[static_cast<size_t>(i)]) * m.global / m.per_global);
    case Factors::kFloat:
      return half * PlainAt(m.factor_type, m.scales.data(), i);
  }
  return 0;
}

int ZeroAt(const MatrixParts& m, int64_t row, int64_t group) {
  if (m.zeros.empty()) return m.zero;
  const int64_t row_words = (m.rows * m.bits + 31) / 32;  // of GPTQ and AWQ: a row of words for each group
  int zero = 0;
  switch (m.fields) {
    case ElementFields::kGptq:
      zero = BitsAt(m.zeros.data() + group * row_words * 4, row * m.bits, m.bits);
      break;
    case ElementFields::kAwq:
      zero = AwqAt(m.zeros.data() + group * row_words * 4, row);
      break;
    case ElementFields::kInt8:
      return static_cast<int8_t>(m.zeros[static_cast<size_t>(row * m.groups() + group)]);
    default:  // a column of words for each group
      zero = BitsAt(m.zeros.data() + group * 4, row * m.bits, m.bits, m.groups());
  }
  return zero + (m.zeros_less_one ? 1 : 0);
}

void ReadElements(const MatrixParts& m, int64_t row, std::span<float> out) {
  const uint8_t* bytes = m.elements.data() + row * m.row_bytes;
  const auto fill = [&](auto element) {
    for (size_t i = 0; i < out.size(); ++i) out[i] = static_cast<float>(element(static_cast<int64_t>(i)));
  };
  switch (m.fields) {
    case ElementFields::kStream:
      if (m.bits == 4) return fill([&](int64_t i) { return NibbleAt(bytes, i); });
      return fill([&](int64_t i) { return BitsAt(bytes, i * m.bits, m.bits); });
    case ElementFields::kWords: {
      const int64_t a_word = 32 / m.bits;
      return fill([&](int64_t i) { return BitsAt(bytes, i / a_word * 32 + i % a_word * m.bits, m.bits); });
    }
    case ElementFields::kGptq:
      return fill([&](int64_t i) { return BitsAt(m.elements.data() + row * 4, i * m.bits, m.bits, m.rows); });
    case ElementFields::kAwq:
      return fill([&](int64_t i) { return AwqAt(m.elements.data() + i * (m.rows / 8 * 4), row); });
    case ElementFields::kInt8:
      return fill([&](int64_t i) { return static_cast<int8_t>(bytes[i]); });
    case ElementFields::kE2m1:
      return fill([&](int64_t i) { return TwiceE2m1(NibbleAt(bytes, i)); });
    case ElementFields::kE4m3:
      return fill([&](int64_t i) { return E4m3ToFloat(bytes[i]); });
  }
}

// One row in parts: elements less their zeros; factors and offsets of its groups.
struct Row {
  explicit Row(const MatrixParts& m)
      : group(static_cast<size_t>(m.width)),
        elements(group.size()),
        factors(static_cast<size_t>(m.groups())) {
    if (!m.offsets.empty()) offsets.resize(factors.size());
    for (size_t i = 0; i < group.size(); ++i) {
      group[i] = m.group_of.empty() ? i / static_cast<size_t>(m.group) : static_cast<size_t>(m.group_of[i]);
    }
  }

  void Read(const MatrixParts& m, int64_t row) {
    ReadElements(m, row, elements);
    for (size_t g = 0; g < factors.size(); ++g) factors[g] = FactorAt(m, row, static_cast<int64_t>(g));
    if (!offsets.empty()) {
      const uint64_t before = static_cast<uint64_t>(row) * offsets.size();
      DecodeRow(m.offset_type, m.offsets.data() + RowBytes(m.offset_type, before), offsets);
    }
    if (m.zeros.empty() && m.zero == 0) return;
    zeros.resize(factors.size());
    for (size_t g = 0; g < zeros.size(); ++g) {
      zeros[g] = static_cast<float>(ZeroAt(m, row, static_cast<int64_t>(g)));
    }
    for (size_t i = 0; i < elements.size(); ++i) elements[i] -= zeros[group[i]];
  }

  std::vector<size_t> group;  // of each element
  std::vector<float> elements, factors, offsets, zeros;
};

// 32 whole numbers as the nibbles of a block and, where they have a fifth bit, its word before them.
void StoreFive(const int* values, bool fifth, uint8_t* out) {
  if (fifth) {
    uint32_t word = 0;
    for (int j = 0; j < 32; ++j) word |= static_cast<uint32_t>((values[j] >> 4) & 1) << j;
    for (int i = 0; i < 4; ++i) *out++ = static_cast<uint8_t>(word >> (8 * i));
  }
  for (int j = 0; j < 16; ++j) {
    out[j] = static_cast<uint8_t>((values[j] & 15) | (values[j + 16] & 15) << 4);
  }
}

// REQUIRES: FormatFor() said so.
void StoreBlocks(Row& row, Dtype format, uint8_t* out) {
  const int bias = format == Dtype::kQ4_0 ? 8 : format == Dtype::kQ5_0 ? 16 : 0;
  for (size_t begin = 0; begin < row.elements.size(); begin += kBlock) {
    const size_t group = row.group[begin];
    int values[kBlock];
    for (size_t j = 0; j < kBlock; ++j) values[j] = static_cast<int>(row.elements[begin + j]) + bias;
    uint8_t* quants = out + 2;
    StoreU16(FloatToHalf(row.factors[group]), out);
    if (!row.offsets.empty()) StoreU16(FloatToHalf(row.offsets[group]), quants), quants += 2;
    if (format == Dtype::kQ8_0) {
      for (size_t j = 0; j < kBlock; ++j) quants[j] = static_cast<uint8_t>(values[j]);
    } else {
      StoreFive(values, format == Dtype::kQ5_0 || format == Dtype::kQ5_1, quants);
    }
    out += GetDtypeInfo(format).block_bytes;
  }
}

// Blocks of MXFP4 or NVFP4: the bytes of the scales, then nibbles, of each group its first half in the low
// ones. REQUIRES: FormatFor() said so.
void CopyE2m1(const MatrixParts& m, int64_t row, uint8_t* out) {
  const uint8_t* elements = m.elements.data() + row * m.row_bytes;
  const int64_t half = m.group / 2, together = m.factors == Factors::kE4m3 ? 4 : 1;
  for (int64_t group = 0; group < m.groups(); group += together) {
    for (int64_t g = group; g < group + together; ++g) {
      *out++ = m.scales[static_cast<size_t>(FactorIndex(m, row, g))];
    }
    for (int64_t i = group * m.group; i < (group + together) * m.group; i += m.group) {
      for (int64_t j = i; j < i + half; ++j) {
        *out++ = static_cast<uint8_t>(NibbleAt(elements, j) | NibbleAt(elements, j + half) << 4);
      }
    }
  }
}

// Leaves the values in the row in place of its elements.
void StorePlain(Row& row, Dtype format, uint8_t* out) {
  for (size_t i = 0; i < row.elements.size(); ++i) {
    const size_t group = row.group[i];
    float value = row.factors[group] * row.elements[i];
    if (!row.offsets.empty()) value += row.offsets[group];
    row.elements[i] = value;
  }
  EncodeRow(format, row.elements, out);
}

bool IsHalf(float value) { return HalfToFloat(FloatToHalf(value)) == value; }

bool AllHalves(Dtype dtype, std::span<const uint8_t> values) {
  if (dtype == Dtype::kF16) return true;
  if (dtype == Dtype::kBf16) {  // there may be hundreds of millions
    for (size_t i = 0; i + 1 < values.size(); i += 2) {
      if (!IsHalf(Bf16ToFloat(LoadU16(&values[i])))) return false;
    }
    return true;
  }
  for (size_t i = 0; i < values.size() / sizeof(float); ++i) {
    if (!IsHalf(PlainAt(dtype, values.data(), static_cast<int64_t>(i)))) return false;
  }
  return true;
}

bool FactorsAreHalves(const MatrixParts& m) {
  if (m.factors == Factors::kFloat) return AllHalves(m.factor_type, m.scales);
  return false;  // such elements have blocks of their own
}

struct Range {
  int low, high;
};

// Of the elements less their zeros; nothing where they are not whole.
std::optional<Range> WholeRange(const MatrixParts& m) {
  if (m.fields == ElementFields::kE4m3 || m.fields == ElementFields::kE2m1) return std::nullopt;
  const Range elements = m.fields == ElementFields::kInt8 ? Range{-128, 127} : Range{0, (1 << m.bits) - 1};
  Range zeros{m.zero, m.zero};
  if (m.fields == ElementFields::kStream && !m.zeros.empty()) {
    zeros = {0, elements.high};  // there may be very many, and they are not all the same
  } else if (!m.zeros.empty()) {
    zeros = {std::numeric_limits<int>::max(), std::numeric_limits<int>::min()};
    for (int64_t row = 0; row < m.rows; ++row) {
      for (int64_t group = 0; group < m.groups(); ++group) {
        const int zero = ZeroAt(m, row, group);
        zeros = {std::min(zeros.low, zero), std::max(zeros.high, zero)};
      }
    }
  }
  return Range{elements.low - zeros.high, elements.high - zeros.low};
}

}  // namespace

Dtype FormatFor(const MatrixParts& m) {
  const bool unscaled = m.global == 1.0f && m.per_global == 1.0f;
  if (m.fields == ElementFields::kE2m1 && unscaled) {
    const auto positive = [](uint8_t e4m3) { return e4m3 < 127; };
    if (m.factors == Factors::kE8m0 && m.group == 32 && m.width % 32 == 0) return Dtype::kMxfp4;
    if (m.factors == Factors::kE4m3 && m.group == 16 && m.width % 64 == 0 &&
        std::ranges::all_of(m.scales, positive)) {
      return Dtype::kNvfp4;
    }
  }
  // All zeros, factors and offsets are looked at only where nothing else rules the blocks out.
  const bool blocks = m.width % kBlock == 0 && m.group % kBlock == 0 && m.group_of.empty();
  const std::optional<Range> range = blocks ? WholeRange(m) : std::nullopt;
  const auto fits = [&](int low, int high) { return range && range->low >= low && range->high <= high; };
  if (m.offsets.empty()) {
    if (fits(-128, 127) && FactorsAreHalves(m)) {
      return fits(-8, 7) ? Dtype::kQ4_0 : fits(-16, 15) ? Dtype::kQ5_0 : Dtype::kQ8_0;
    }
  } else if (fits(0, 31) && FactorsAreHalves(m) && AllHalves(m.offset_type, m.offsets)) {
    return fits(0, 15) ? Dtype::kQ4_1 : Dtype::kQ5_1;
  }
  // Six significant bits of E2M1 and E4M3, four of E4M3 and a power of two: unless below bfloat16's least.
  if (m.fields == ElementFields::kE2m1 && m.factors != Factors::kFloat && unscaled) return Dtype::kBf16;
  const auto not_least = [](uint8_t e) { return e >= 10; };
  if (m.fields == ElementFields::kE4m3 && m.factors == Factors::kE8m0 &&
      std::ranges::all_of(m.scales, not_least)) {
    return Dtype::kBf16;
  }
  return Dtype::kF32;
}

void QuantisedRows::Read(int64_t first, int64_t count, uint8_t* out) const {
  Row row(matrix_);
  const uint64_t bytes = RowBytes(format_, static_cast<uint64_t>(matrix_.width));
  const bool plain = GetDtypeInfo(format_).block_elements == 1;
  const bool e2m1 = format_ == Dtype::kMxfp4 || format_ == Dtype::kNvfp4;
  for (int64_t r = first; r < first + count; ++r, out += bytes) {
    if (e2m1) {
      CopyE2m1(matrix_, r, out);
      continue;
    }
    row.Read(matrix_, r);
    (plain ? StorePlain : StoreBlocks)(row, format_, out);
  }
}

}  // namespace linnet
