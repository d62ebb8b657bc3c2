// Lets an answer's text through as it arrives, except what is or may become a stop text.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace linnet {

class StopFilter {
 public:
  // Empty stop texts are ignored.
  explicit StopFilter(std::vector<std::string> stops);

  // Takes more text and returns what is certain to belong to the answer. After a match everything is dropped.
  // Of several matches the one that begins first counts.
  std::string Push(std::string_view text);
  // The answer has ended: returns what was held back.
  std::string Finish();

  bool matched() const { return !match_.empty(); }
  const std::string& match() const { return match_; }  // the stop text found, or empty

 private:
  std::vector<std::string> stops_;
  std::string held_;  // a tail that is the beginning of some stop text, or the whole after the last Push
  std::string match_;
};

}  // namespace linnet
