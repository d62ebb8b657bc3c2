// Any text as a model's output: every call has JSON for arguments, and rendering what was read can be read
// again.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include <nlohmann/json.hpp>

#include "base/check.h"
#include "text/output_parser.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const linnet::ParsedOutput output = linnet::ParseOutput(text);
  for (const linnet::ToolCall& call : output.calls) {
    LINNET_CHECK(!call.name.empty());
    LINNET_CHECK(nlohmann::json::parse(call.arguments, nullptr, false).is_object());
  }
  linnet::ParseOutput(linnet::RenderOutput(output));
  for (const bool cut : {false, true}) {  // as the inside of a block, and the end of one
    for (const linnet::ToolCall& call : linnet::ParseToolCalls(text, cut).calls) {
      LINNET_CHECK(nlohmann::json::parse(call.arguments, nullptr, false).is_object());
    }
  }
  return 0;
}
