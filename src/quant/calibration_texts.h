// Texts that models are calibrated with where nobody brings others: questions and answers of many kinds in
// many languages, code, tables and numbers. Written for this purpose.
#pragma once

#include <span>
#include <string_view>

namespace linnet {

struct CalibrationText {
  std::string_view question;  // empty: the rest is a plain text
  std::string_view answer;
};

std::span<const CalibrationText> CalibrationTexts();

// Others, of different kinds, that nothing is calibrated with: to see what a file has lost.
struct HeldOutText {
  std::string_view name;
  std::string_view text;
};

std::span<const HeldOutText> HeldOutTexts();

}  // namespace linnet
