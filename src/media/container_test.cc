#include "media/container.h"

#include <string_view>

#include "media/golden_test_util.h"

namespace linnet {
namespace {

using media_internal::EndsEarly;
using media_internal::FirstLinkOfOgg;
using media_internal::LacksIndex;

std::vector<uint8_t> Media(const std::string& name) {
  return ReadFile(LINNET_SOURCE_DIR "/tests/data/media/" + name);
}

TEST(Container, AWholeFileEndsInTimeAndACutOneEarly) {
  for (const char* name : {"clip.mp4", "clip-h264.mp4", "clip.webm", "tiny.webm", "tone.ogg", "tone.opus",
                           "tone.m4a", "film.ts"}) {
    const std::vector<uint8_t> whole = Media(name);
    EXPECT_FALSE(EndsEarly(whole)) << name;
    EXPECT_FALSE(LacksIndex(whole)) << name;
    for (const double share : {0.3, 0.71, 0.99}) {
      const auto length = static_cast<size_t>(static_cast<double>(whole.size()) * share);
      EXPECT_TRUE(EndsEarly(std::span(whole).first(length))) << name << " cut to " << length;
    }
  }
  // Frames without a box around them promise nothing.
  const std::vector<uint8_t> mp3 = Media("tone.mp3");
  EXPECT_FALSE(EndsEarly(std::span(mp3).first(mp3.size() / 2)));
  EXPECT_FALSE(EndsEarly({}));
}

TEST(Container, AnIndexThatIsMissingIsSeen) {
  const std::string_view unfinished(
      "\0\0\0\x10"
      "ftypisom\0\0\0\0\0\0\x10\0mdatabcdefgh",
      32);
  EXPECT_TRUE(LacksIndex({reinterpret_cast<const uint8_t*>(unfinished.data()), unfinished.size()}));
}

TEST(Container, ChainedOggFilesFallApartIntoTheirLinks) {
  const std::vector<uint8_t> first = Media("tone.opus"), second = Media("tone.ogg");
  std::vector<uint8_t> chain = first;
  chain.insert(chain.end(), second.begin(), second.end());
  EXPECT_EQ(FirstLinkOfOgg(chain), first.size());
  EXPECT_EQ(FirstLinkOfOgg(second), second.size());
  chain.insert(chain.begin() + static_cast<ptrdiff_t>(first.size()), {'n', 'o', 'i', 's', 'e'});
  EXPECT_EQ(FirstLinkOfOgg(chain), first.size() + 5);
}

}  // namespace
}  // namespace linnet
