// Builds GGUF bytes for tests, independently of the writer, so that both are checked against the layout.
#pragma once

#include <bit>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "io/gguf_metadata.h"

namespace linnet {

class GgufBytes {
 public:
  void Number(uint64_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) data.push_back(static_cast<uint8_t>(value >> (8 * i)));
  }
  void String(std::string_view text) {
    Number(text.size(), 8);
    data.insert(data.end(), text.begin(), text.end());
  }
  void Header(uint64_t tensors, uint64_t pairs, uint32_t version = 3) {
    data.insert(data.end(), {'G', 'G', 'U', 'F'});
    Number(version, 4);
    Number(tensors, 8);
    Number(pairs, 8);
  }
  void Key(std::string_view key, GgufType type) {
    String(key);
    Number(static_cast<uint64_t>(type), 4);
  }
  void U32(std::string_view key, uint32_t value) { Key(key, GgufType::kU32), Number(value, 4); }
  void F32(std::string_view key, float value) {
    Key(key, GgufType::kF32);
    Number(std::bit_cast<uint32_t>(value), 4);
  }
  void Text(std::string_view key, std::string_view value) { Key(key, GgufType::kString), String(value); }
  void Array(std::string_view key, GgufType type, uint64_t count) {
    Key(key, GgufType::kArray);
    Number(static_cast<uint64_t>(type), 4);
    Number(count, 8);
  }
  void Tensor(std::string_view name, std::vector<uint64_t> ne, uint32_t type, uint64_t offset) {
    String(name);
    Number(ne.size(), 4);
    for (const uint64_t n : ne) Number(n, 8);
    Number(type, 4);
    Number(offset, 8);
  }
  void Pad(size_t alignment = 32) {
    while (data.size() % alignment != 0) data.push_back(0);
  }
  void Zeros(size_t count) { data.resize(data.size() + count); }

  std::vector<uint8_t> data;
};

}  // namespace linnet
