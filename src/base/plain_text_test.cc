#include "base/plain_text.h"

#include <gtest/gtest.h>

namespace linnet {
namespace {

using namespace std::string_literals;

TEST(PlainText, DropsTheMarkOfUtf8) {
  EXPECT_EQ(*PlainText("\xef\xbb\xbfturn off", "f"), "turn off");
  EXPECT_EQ(*PlainText("a\xef\xbb\xbf", "f"), "a\xef\xbb\xbf");  // inside it is a character
  EXPECT_EQ(*PlainText("", "f"), "");
  EXPECT_EQ(*PlainText("\xef\xbb\xbf", "f"), "");
}

TEST(PlainText, ReadsUtf16OfBothOrders) {
  EXPECT_EQ(*PlainText("\xff\xfe"s + "t\0\xe9\0\n\0"s, "f"), "té\n");
  EXPECT_EQ(*PlainText("\xfe\xff"s + "\0t\0\xe9\0\n"s, "f"), "té\n");
  EXPECT_EQ(*PlainText("\xff\xfe\x3d\xd8\x00\xde"s, "f"), "😀");
  EXPECT_EQ(*PlainText("\xff\xfe", "f"), "");
}

TEST(PlainText, NamesWhatItDoesNotRead) {
  const auto error = [](std::string bytes) {
    const auto text = PlainText(std::move(bytes), "notes.txt");
    EXPECT_FALSE(text.has_value());
    return text ? std::string() : text.error().Message();
  };
  EXPECT_NE(error("\xff\xfe\0\0t\0\0\0"s).find("UTF-32"), std::string::npos);
  EXPECT_NE(error("\xff\xfet"s).find("damaged UTF-16"), std::string::npos);
  EXPECT_NE(error("\xff\xfe\x3d\xd8"s).find("damaged UTF-16"), std::string::npos);
  EXPECT_NE(error("\xff\xfe\x00\xdct\0"s).find("damaged UTF-16"), std::string::npos);
  EXPECT_NE(error("t\0u\0r\0n\0"s).find("UTF-16 without its mark"), std::string::npos);
  EXPECT_NE(error("\0t\0u\0r\0n"s).find("UTF-16 without its mark"), std::string::npos);
  EXPECT_NE(error("a text\0 with a zero"s).find("byte 7 is zero"), std::string::npos);
  EXPECT_NE(error("one\ntwo\ncaf\xe9\n").find("notes.txt is not UTF-8: byte 0xE9 in line 3"),
            std::string::npos);
  EXPECT_NE(error("\xed\xa0\x80").find("UTF-8"), std::string::npos);  // half of a pair
}

TEST(PlainText, LinesEndInEveryWay) {
  std::string shown;
  for (std::string_view rest = "a\nb\r\nc\rd\r\r\n\n\re"; !rest.empty();) {
    const auto [text, ending] = FirstLine(rest);
    rest.remove_prefix(text.size() + ending.size());
    shown += std::string(text) + (ending == "\n" ? "|" : ending == "\r\n" ? "&" : ending == "\r" ? "!" : ".");
  }
  EXPECT_EQ(shown, "a|b&c!d!&|!e.");
  const auto damaged = PlainText("one\rtwo\r\ncaf\xe9\r", "old.txt");
  ASSERT_FALSE(damaged.has_value());
  EXPECT_NE(damaged.error().what.find("in line 3"), std::string::npos) << damaged.error().what;
}

}  // namespace
}  // namespace linnet
