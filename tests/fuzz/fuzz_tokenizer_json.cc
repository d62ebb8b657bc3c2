// Any bytes as a tokenizer.json: an error or a tokenizer that works.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "text/tokenizer.h"
#include "text/utf8.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto tokenizer = linnet::TokenizerFromJson(bytes);
  if (!tokenizer) return 0;
  const std::vector<int32_t> ids = (*tokenizer)->Encode(bytes.substr(0, 200));
  LINNET_CHECK(linnet::IsValidUtf8((*tokenizer)->Decode(ids)));
  return 0;
}
