// GGUF metadata: typed values by key.
//
// Values stay where they are in the mapping: a vocabulary of 262,144 strings costs one pass over its bytes
// when asked for, nothing before.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "linnet/error.h"

namespace linnet {

// Numbers as the format writes them.
enum class GgufType : uint32_t {
  kU8 = 0,
  kI8 = 1,
  kU16 = 2,
  kI16 = 3,
  kU32 = 4,
  kI32 = 5,
  kF32 = 6,
  kBool = 7,
  kString = 8,
  kArray = 9,
  kU64 = 10,
  kI64 = 11,
  kF64 = 12,
};

// A scalar is an array of one, so that files may write either where the other is expected.
struct GgufValue {
  GgufType type = GgufType::kU8;  // of the elements; kArray = an array of arrays, which no getter reads
  bool is_array = false;
  uint64_t count = 1;
  std::span<const uint8_t> bytes;  // the elements as stored; every string still has its length in front
};

class GgufMetadata {
 public:
  const GgufValue* Get(std::string_view key) const;  // nullptr if absent

  // The value of a key, nullopt when it is absent; kBadFile naming the key when it is of another kind or out
  // of range. An array whose elements are all equal serves as a scalar.
  Result<std::optional<int64_t>> GetInt(std::string_view key) const;   // any integer or bool type
  Result<std::optional<double>> GetFloat(std::string_view key) const;  // any number type
  Result<std::optional<bool>> GetBool(std::string_view key) const;
  Result<std::optional<std::string_view>> GetString(std::string_view key) const;

  // All elements; a scalar gives one. Absent: empty.
  Result<std::vector<int64_t>> GetInts(std::string_view key) const;
  Result<std::vector<float>> GetFloats(std::string_view key) const;
  Result<std::vector<std::string_view>> GetStrings(std::string_view key) const;  // views of the file

  // False if the key is there already. REQUIRES: `value.bytes` holds exactly the elements, string lengths
  // included.
  bool Add(std::string_view key, const GgufValue& value) {
    return values_.emplace(std::string(key), value).second;
  }

  const std::map<std::string, GgufValue, std::less<>>& values() const { return values_; }

 private:
  std::map<std::string, GgufValue, std::less<>> values_;
};

// Bytes of an element; 0 for strings and arrays.
uint64_t GgufScalarBytes(GgufType type);

// A little-endian number of up to 8 bytes.
inline uint64_t LoadLittle(const uint8_t* p, uint64_t bytes) {
  uint64_t value = 0;
  for (uint64_t i = 0; i < bytes; ++i) value |= static_cast<uint64_t>(p[i]) << (8 * i);
  return value;
}

}  // namespace linnet
