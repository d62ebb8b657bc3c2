// A prompt in the making: every part remembers whether it is a marker that we wrote or text from outside.
// Nothing searches it for markers again, so no message, file or tool result can give a control token by
// spelling one.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace linnet {

struct Segment {
  enum class Kind {
    kMarker,  // one special token of the chat format, by its name
    kText,    // ordinary tokens only, whatever it spells
    kTokens,  // as a model wrote them
    kImage,
    kAudio,
    kVideo,  // the place of a medium
  };
  Kind kind = Kind::kText;
  std::string text;          // of kMarker and kText
  std::vector<int32_t> ids;  // of kTokens
};

class MarkedText {
 public:
  // Neighbouring texts become one, since a tokenizer reads across their border.
  MarkedText& Text(std::string_view text);
  MarkedText& Marker(std::string_view name);
  MarkedText& Tokens(std::span<const int32_t> ids);
  MarkedText& Medium(Segment::Kind kind);
  MarkedText& Append(const MarkedText& more);

  const std::vector<Segment>& segments() const { return segments_; }
  bool empty() const { return segments_.empty(); }

  // The text as the reference's template prints it: markers and places spelled out. REQUIRES: no kTokens.
  std::string Spelled() const;

 private:
  std::vector<Segment> segments_;
};

// `<|image|>`, `<|audio|>`, `<|video|>`: how a template spells the place of a medium; empty for other kinds.
std::string_view PlaceSpelling(Segment::Kind kind);

}  // namespace linnet
