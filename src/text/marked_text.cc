#include "text/marked_text.h"

#include "base/check.h"

namespace linnet {

MarkedText& MarkedText::Text(std::string_view text) {
  if (text.empty()) return *this;
  if (segments_.empty() || segments_.back().kind != Segment::Kind::kText) {
    segments_.push_back({Segment::Kind::kText, {}, {}});
  }
  segments_.back().text += text;
  return *this;
}

MarkedText& MarkedText::Marker(std::string_view name) {
  segments_.push_back({Segment::Kind::kMarker, std::string(name), {}});
  return *this;
}

MarkedText& MarkedText::Tokens(std::span<const int32_t> ids) {
  if (!ids.empty()) segments_.push_back({Segment::Kind::kTokens, {}, {ids.begin(), ids.end()}});
  return *this;
}

MarkedText& MarkedText::Medium(Segment::Kind kind) {
  segments_.push_back({kind, {}, {}});
  return *this;
}

MarkedText& MarkedText::Append(const MarkedText& more) {
  for (const Segment& segment : more.segments_) {
    if (segment.kind == Segment::Kind::kText) {
      Text(segment.text);
    } else {
      segments_.push_back(segment);
    }
  }
  return *this;
}

std::string MarkedText::Spelled() const {
  std::string out;
  for (const Segment& segment : segments_) {
    LINNET_CHECK(segment.kind != Segment::Kind::kTokens);
    out += segment.text;
    out += PlaceSpelling(segment.kind);
  }
  return out;
}

std::string_view PlaceSpelling(Segment::Kind kind) {
  switch (kind) {
    case Segment::Kind::kImage:
      return "<|image|>";
    case Segment::Kind::kAudio:
      return "<|audio|>";
    case Segment::Kind::kVideo:
      return "<|video|>";
    default:
      return {};
  }
}

}  // namespace linnet
