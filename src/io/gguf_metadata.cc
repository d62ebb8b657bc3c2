#include "io/gguf_metadata.h"

#include <bit>
#include <cmath>
#include <cstring>

#include <fmt/format.h>

namespace linnet {
namespace {

std::unexpected<Error> WrongKind(std::string_view key, std::string_view wanted) {
  return Fail(ErrorCode::kBadFile, fmt::format("the key \"{}\" is not {}", key, wanted),
              "the file is damaged");
}

bool IsInteger(GgufType type) {
  return type != GgufType::kF32 && type != GgufType::kF64 && type != GgufType::kString &&
         type != GgufType::kArray;
}

// Element i of a value of an integer type; nullopt for an u64 beyond int64.
std::optional<int64_t> IntAt(const GgufValue& value, uint64_t i) {
  const uint64_t size = GgufScalarBytes(value.type);
  const uint64_t bits = LoadLittle(value.bytes.data() + i * size, size);
  switch (value.type) {
    case GgufType::kI8:
      return static_cast<int8_t>(bits);
    case GgufType::kI16:
      return static_cast<int16_t>(bits);
    case GgufType::kI32:
      return static_cast<int32_t>(bits);
    case GgufType::kBool:
      return bits != 0;
    case GgufType::kU64:
      if (bits > static_cast<uint64_t>(INT64_MAX)) return std::nullopt;
      return static_cast<int64_t>(bits);
    default:
      return static_cast<int64_t>(bits);
  }
}

double FloatAt(const GgufValue& value, uint64_t i) {
  if (value.type == GgufType::kF32) {
    return std::bit_cast<float>(static_cast<uint32_t>(LoadLittle(value.bytes.data() + 4 * i, 4)));
  }
  if (value.type == GgufType::kF64) return std::bit_cast<double>(LoadLittle(value.bytes.data() + 8 * i, 8));
  return static_cast<double>(IntAt(value, i).value_or(INT64_MAX));
}

bool SameBytes(const GgufValue& value) {
  if (value.count == 0 || value.bytes.size() % value.count != 0) return false;
  const uint64_t size = value.bytes.size() / value.count;
  for (uint64_t i = 1; i < value.count; ++i) {
    if (std::memcmp(value.bytes.data(), value.bytes.data() + i * size, size) != 0) return false;
  }
  return true;
}

}  // namespace

uint64_t GgufScalarBytes(GgufType type) {
  switch (type) {
    case GgufType::kU8:
    case GgufType::kI8:
    case GgufType::kBool:
      return 1;
    case GgufType::kU16:
    case GgufType::kI16:
      return 2;
    case GgufType::kU32:
    case GgufType::kI32:
    case GgufType::kF32:
      return 4;
    case GgufType::kU64:
    case GgufType::kI64:
    case GgufType::kF64:
      return 8;
    case GgufType::kString:
    case GgufType::kArray:
      return 0;
  }
  return 0;
}

const GgufValue* GgufMetadata::Get(std::string_view key) const {
  const auto found = values_.find(key);
  return found == values_.end() ? nullptr : &found->second;
}

Result<std::optional<int64_t>> GgufMetadata::GetInt(std::string_view key) const {
  const GgufValue* value = Get(key);
  if (value == nullptr) return std::nullopt;
  if (!IsInteger(value->type) || !SameBytes(*value)) return WrongKind(key, "a whole number");
  const std::optional<int64_t> number = IntAt(*value, 0);
  if (!number) return WrongKind(key, "a number that fits 63 bits");
  return number;
}

Result<std::optional<double>> GgufMetadata::GetFloat(std::string_view key) const {
  const GgufValue* value = Get(key);
  if (value == nullptr) return std::nullopt;
  if (GgufScalarBytes(value->type) == 0 || !SameBytes(*value)) return WrongKind(key, "a number");
  const double number = FloatAt(*value, 0);
  if (!std::isfinite(number)) return WrongKind(key, "a finite number");
  return number;
}

Result<std::optional<bool>> GgufMetadata::GetBool(std::string_view key) const {
  LINNET_ASSIGN(const std::optional<int64_t> number, GetInt(key));
  if (!number) return std::nullopt;
  return *number != 0;
}

Result<std::optional<std::string_view>> GgufMetadata::GetString(std::string_view key) const {
  LINNET_ASSIGN(const auto strings, GetStrings(key));
  if (Get(key) == nullptr) return std::nullopt;
  if (strings.size() != 1) return WrongKind(key, "one string");
  return strings[0];
}

Result<std::vector<int64_t>> GgufMetadata::GetInts(std::string_view key) const {
  const GgufValue* value = Get(key);
  if (value == nullptr) return std::vector<int64_t>{};
  if (!IsInteger(value->type)) return WrongKind(key, "a list of whole numbers");
  std::vector<int64_t> numbers(value->count);
  for (uint64_t i = 0; i < value->count; ++i) {
    const std::optional<int64_t> number = IntAt(*value, i);
    if (!number) return WrongKind(key, "a list of numbers that fit 63 bits");
    numbers[i] = *number;
  }
  return numbers;
}

Result<std::vector<float>> GgufMetadata::GetFloats(std::string_view key) const {
  const GgufValue* value = Get(key);
  if (value == nullptr) return std::vector<float>{};
  if (GgufScalarBytes(value->type) == 0) return WrongKind(key, "a list of numbers");
  std::vector<float> numbers(value->count);
  for (uint64_t i = 0; i < value->count; ++i) {
    const double number = FloatAt(*value, i);
    // A double beyond float's range has no defined conversion.
    if (value->type == GgufType::kF64 && std::fabs(number) > 3e38)
      return WrongKind(key, "a list of float32 numbers");
    numbers[i] = static_cast<float>(number);
  }
  return numbers;
}

Result<std::vector<std::string_view>> GgufMetadata::GetStrings(std::string_view key) const {
  const GgufValue* value = Get(key);
  if (value == nullptr) return std::vector<std::string_view>{};
  if (value->type != GgufType::kString) return WrongKind(key, "text");
  std::vector<std::string_view> strings(value->count);
  const uint8_t* p = value->bytes.data();
  for (std::string_view& text : strings) {
    const uint64_t length = LoadLittle(p, 8);  // checked when the file was opened
    text = {reinterpret_cast<const char*>(p + 8), length};
    p += 8 + length;
  }
  return strings;
}

}  // namespace linnet
