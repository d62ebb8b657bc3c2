// Any JSON as messages and tools: a text or an error.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include <nlohmann/json.hpp>

#include "text/chat_format.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto request = nlohmann::ordered_json::parse(text, nullptr, false);
  if (!request.is_array() || request.empty()) return 0;
  const linnet::ChatOptions options{
      .style = static_cast<linnet::ChatStyle>(data[0] % 3),
      .generation = static_cast<linnet::ChatOptions::Generation>(data[0] >> 5 & 1),
      .enable_thinking = (data[0] & 8) != 0,
      .preserve_thinking = (data[0] & 16) != 0};
  (void)linnet::RenderChat(request[0], request.size() > 1 ? request[1] : nlohmann::ordered_json(), options);
  return 0;
}
