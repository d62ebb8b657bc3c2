// With less and less address space, from enough to too little for the program itself: an answer, or an error
// that says so.
#include <gtest/gtest.h>

#include "program.h"

namespace linnet {
namespace {

constexpr int64_t kMegabyte = int64_t{1} << 20;
constexpr int kNotLoaded = 127;  // the dynamic loader's own error

struct Tried {
  int answered = 0, refused = 0;
};

Tried WithFallingMemory(const std::vector<std::string>& arguments, int64_t from) {
  Tried tried;
  for (int64_t limit = from; limit > 0; limit -= 7 * kMegabyte) {
    const ProgramResult result = RunLinnetWithin(limit, arguments);
    if (result.code == kNotLoaded) break;
    EXPECT_TRUE(result.code == 0 || result.code == 1) << limit << ": " << result.code << " " << result.errors;
    if (result.code == 1) {
      const bool said = result.errors.find("memory") != std::string::npos ||
                        result.errors.find("threads") != std::string::npos;
      EXPECT_TRUE(said) << limit << ": " << result.errors;
    }
    (result.code == 0 ? tried.answered : tried.refused) += 1;
  }
  return tried;
}

TEST(Memory, ThatRunsOutIsAnError) {
  const std::string picture = InSource("examples/shapes.png");
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"run", "-q", "-p", "5 + 10"},
        {"run", "-q", "--no-sandbox", "-p", "what is in the picture", "--image-tokens", "1120", "--image",
         picture},
        {"transcribe", "-q", "--no-sandbox", InSource("examples/command.wav")}}) {
    const Tried tried = WithFallingMemory(arguments, 420 * kMegabyte);
    EXPECT_GT(tried.answered, 2) << arguments.back();
    EXPECT_GT(tried.refused, 2) << arguments.back();
  }
}

}  // namespace
}  // namespace linnet
