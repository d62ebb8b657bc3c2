#include "runtime/stop_filter.h"

#include <algorithm>
#include <utility>

namespace linnet {
namespace {

// The length of the longest tail of `text` that is a proper beginning of `stop`.
size_t OpenTail(std::string_view text, std::string_view stop) {
  for (size_t length = std::min(text.size(), stop.size() - 1); length > 0; --length) {
    if (text.substr(text.size() - length) == stop.substr(0, length)) return length;
  }
  return 0;
}

}  // namespace

StopFilter::StopFilter(std::vector<std::string> stops) : stops_(std::move(stops)) {
  std::erase_if(stops_, [](const std::string& stop) { return stop.empty(); });
}

std::string StopFilter::Push(std::string_view text) {
  if (matched()) return {};
  held_ += text;
  size_t first = std::string::npos;
  for (const std::string& stop : stops_) {
    const size_t at = held_.find(stop);
    if (at < first) {
      first = at;
      match_ = stop;
    }
  }
  size_t keep = 0;
  if (matched()) {
    held_.resize(first);
  } else {
    for (const std::string& stop : stops_) keep = std::max(keep, OpenTail(held_, stop));
  }
  std::string certain = held_.substr(0, held_.size() - keep);
  held_.erase(0, certain.size());
  return certain;
}

std::string StopFilter::Finish() { return std::exchange(held_, {}); }

}  // namespace linnet
