#include "server/multipart.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace linnet {
namespace {

constexpr char kType[] = "multipart/form-data; boundary=\"x y\"";

std::string Part(const std::string& headers, const std::string& content) {
  return "--x y\r\n" + headers + "\r\n\r\n" + content + "\r\n";
}

TEST(ParseFormTest, TakesPartsAsTheyAre) {
  const std::string sound("RI\0FF\r\n--x\r\n\r\n", 14);
  const std::string body = "before\r\n" + Part("Content-Disposition: form-data; name=\"model\"", "any") +
                           Part(
                               "content-type: audio/wav\r\nCONTENT-DISPOSITION: form-data; name=file; "
                               "filename=\"a \\\"b\\\".wav\"",
                               sound) +
                           Part("Content-Disposition: form-data; name=\"empty\"", "") + "--x y--\r\nbehind";
  const auto parts = ParseForm(kType, body);
  ASSERT_TRUE(parts.has_value()) << parts.error().Message();
  ASSERT_EQ(parts->size(), 3U);
  EXPECT_EQ((*parts)[0].name, "model");
  EXPECT_EQ((*parts)[0].content, "any");
  EXPECT_EQ((*parts)[1].name, "file");
  EXPECT_EQ((*parts)[1].file_name, "a \"b\".wav");
  EXPECT_EQ((*parts)[1].content, sound);
  EXPECT_EQ((*parts)[2].content, "");
}

TEST(ParseFormTest, RefusesWhatIsDamaged) {
  const std::string good = Part("Content-Disposition: form-data; name=\"a\"", "b") + "--x y--";
  EXPECT_TRUE(ParseForm(kType, good).has_value());
  for (const char* type : {"", "multipart/form-data", "multipart/form-data; boundary=", "application/json"}) {
    EXPECT_FALSE(ParseForm(type, good).has_value()) << type;
  }
  for (size_t cut = 0; cut < good.size(); ++cut) (void)ParseForm(kType, good.substr(0, cut));
  EXPECT_FALSE(ParseForm(kType, good.substr(0, good.size() - 8)).has_value());
  EXPECT_FALSE(ParseForm(kType, Part("Content-Type: text/plain", "b") + "--x y--").has_value());
  std::string many;
  for (int i = 0; i < 65; ++i) many += Part("Content-Disposition: form-data; name=\"a\"", "b");
  EXPECT_FALSE(ParseForm(kType, many + "--x y--").has_value());
  std::mt19937 rng(1);
  for (int i = 0; i < 5000; ++i) {
    std::string damaged = good;
    for (int flips = 0; flips < 3; ++flips) damaged[rng() % damaged.size()] = static_cast<char>(rng());
    (void)ParseForm(kType, damaged);
  }
}

}  // namespace
}  // namespace linnet
