#include "media/container.h"

#include <string>
#include <string_view>

#include "media/golden_test_util.h"
#include "media/links.h"

namespace linnet {
namespace {

using media_internal::EndsEarly;
using media_internal::FirstLink;
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

// What a recorder writes before it knows how long it will be.
TEST(Container, AuAndCafOfUnknownLengthWereNotFinished) {
  using namespace std::string_view_literals;
  const auto ends_early = [](std::string_view bytes) {
    return EndsEarly({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
  };
  EXPECT_FALSE(ends_early(".snd\0\0\0\x18\0\0\0\4\0\0\0\3\0\0\x3e\x80\0\0\0\1abcd"sv));
  EXPECT_TRUE(ends_early(".snd\0\0\0\x18\0\0\0\0\0\0\0\3\0\0\x3e\x80\0\0\0\1abcd"sv));
  EXPECT_TRUE(ends_early(".snd\0\0\0\x18\xff\xff\xff\xff\0\0\0\3\0\0\x3e\x80\0\0\0\1abcd"sv));
  EXPECT_FALSE(ends_early(".snd\0\0\0\x18\0\0\0\0\0\0\0\3\0\0\x3e\x80\0\0\0\1"sv));
  EXPECT_FALSE(ends_early("caff\0\1\0\0data\0\0\0\0\0\0\0\6\0\0\0\0ab"sv));
  EXPECT_TRUE(ends_early("caff\0\1\0\0data\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0ab"sv));
}

TEST(Container, JoinedFilesFallApartWhereTheSecondBegins) {
  for (const char* name : {"film.ts", "tone.flac", "tone.ogg"}) {
    const std::vector<uint8_t> one = Media(name);
    EXPECT_EQ(FirstLink(one), one.size()) << name;
    std::vector<uint8_t> two = one;
    two.insert(two.end(), one.begin(), one.end());
    // The second stream's service table stands before its table of programs.
    EXPECT_NEAR(static_cast<double>(FirstLink(two)), static_cast<double>(one.size()), 188) << name;
    two.insert(two.begin() + static_cast<ptrdiff_t>(one.size()) - 50, 20, 'x');  // out of step
    EXPECT_NEAR(static_cast<double>(FirstLink(two)), static_cast<double>(one.size()) + 20, 376) << name;
  }
}

// A pack of an MPEG program stream with its clock, in units of 90 kHz.
std::string Pack(int64_t ticks, bool mpeg2) {
  const auto bits = [&](int shift, int count) {
    return static_cast<char>(ticks >> shift & ((1 << count) - 1));
  };
  std::string pack("\0\0\1\xba", 4);
  if (mpeg2) {
    pack += static_cast<char>(0x44 | bits(30, 3) << 3 | bits(28, 2));
    pack += bits(20, 8);
    pack += static_cast<char>(bits(15, 5) << 3 | 4 | bits(13, 2));
    pack += bits(5, 8);
    pack += static_cast<char>(bits(0, 5) << 3 | 4);
  } else {
    pack += static_cast<char>(0x21 | bits(30, 3) << 1);
    pack += bits(22, 8);
    pack += static_cast<char>(bits(15, 7) << 1 | 1);
    pack += bits(7, 8);
    pack += static_cast<char>(bits(0, 7) << 1 | 1);
  }
  return pack + std::string(20, 'x');
}

TEST(Container, AClockThatGoesBackBeginsAFile) {
  constexpr int64_t kSecond = 90'000;
  const auto link = [](std::initializer_list<int64_t> clock, bool mpeg2) {
    std::string stream;
    for (const int64_t ticks : clock) stream += Pack(ticks, mpeg2);
    return static_cast<int>(FirstLink({reinterpret_cast<const uint8_t*>(stream.data()), stream.size()}) / 29);
  };
  for (const bool mpeg2 : {true, false}) {
    EXPECT_EQ(link({0, kSecond, 2 * kSecond, 0, kSecond}, mpeg2), 3);
    EXPECT_EQ(link({50 * kSecond, 51 * kSecond, 4 * kSecond, 5 * kSecond}, mpeg2), 2);
    EXPECT_EQ(link({0, kSecond, 2 * kSecond}, mpeg2), 3);
    EXPECT_EQ(link({0, kSecond, 900 * kSecond, 2 * kSecond, 3 * kSecond}, mpeg2), 5);  // one damaged value
    EXPECT_EQ(link({800 * kSecond, 801 * kSecond, kSecond, 802 * kSecond}, mpeg2), 4);
    EXPECT_EQ(link({(int64_t{1} << 33) - kSecond, 0, kSecond}, mpeg2), 3);  // the counter is full
    EXPECT_EQ(link({kSecond, kSecond - 9000, kSecond + 9000}, mpeg2), 3);   // packets changed places
  }
}

}  // namespace
}  // namespace linnet
