#include "server/fields.h"

#include <gtest/gtest.h>

#include <string>

namespace linnet {
namespace {

TEST(ParseObjectTest, RefusesWhatIsNoObjectOrTooMuch) {
  EXPECT_TRUE(ParseObject(R"({"a": [1, {"b": null}]})").has_value());
  for (const char* text : {"", "[]", "1", "{", R"({"a": 1} x)", "{\"a\": \"\xFF\"}", "nul"}) {
    const auto parsed = ParseObject(text);
    ASSERT_FALSE(parsed.has_value()) << text;
    EXPECT_EQ(parsed.error().code, ErrorCode::kInvalidArgument);
    EXPECT_FALSE(parsed.error().hint.empty());
  }
  EXPECT_FALSE(ParseObject("{\"a\":" + std::string(1000, '[') + std::string(1000, ']') + "}").has_value());
  EXPECT_FALSE(ParseObject("{\"a\":" + std::string(20'000'000, '[')).has_value());
  std::string many = R"({"a":[0)";
  for (int i = 0; i < 2'100'000; ++i) many += ",0";
  EXPECT_FALSE(ParseObject(many + "]}").has_value());
}

// Beyond some, reading an object would take the square of their number.
TEST(ParseObjectTest, BoundsTheNamesOfOneObject) {
  const auto with = [](int names) {
    std::string text = R"({"a":{"0":0)";
    for (int i = 1; i < names; ++i) text += ",\"" + std::to_string(i) + "\":{}";
    return ParseObject(text + R"(},"b":{"c":1}})");
  };
  EXPECT_TRUE(with(1024).has_value());
  const auto refused = with(1025);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().what, "the body has an object of more than 1024 names");
}

TEST(FieldsTest, ReadsWithTypesAndNamesWhatIsWrong) {
  const Json json = *ParseObject(R"({"text": "t", "flag": true, "number": 1.5, "whole": 3, "float": 4.0,
                                     "list": ["a", "b"], "null": null, "object": {"x": 1}})");
  const Fields fields(json, "top");
  EXPECT_EQ(**fields.Text("text"), "t");
  EXPECT_EQ(*fields.Text("null"), std::nullopt);
  EXPECT_EQ(*fields.Text("absent"), std::nullopt);
  EXPECT_EQ(**fields.Flag("flag"), true);
  EXPECT_EQ(**fields.Number("number", {0, 2}), 1.5);
  EXPECT_EQ(**fields.Integer("whole", {0, 5}), 3);
  EXPECT_EQ(**fields.Integer("float", {0, 5}), 4);
  EXPECT_EQ(fields.Texts("list")->size(), 2U);
  EXPECT_EQ(fields.Texts("text")->front(), "t");
  EXPECT_TRUE((*fields.Object("absent"))->is_null());
  EXPECT_EQ(fields.Integer("number", {0, 5}).error().what, "top.number is 1.5");
  EXPECT_EQ(fields.Number("whole", {0, 2}).error().hint, "give a number from 0 to 2");
  EXPECT_EQ(fields.Text("flag").error().what, "top.flag is true");
  EXPECT_FALSE(fields.Flag("text").has_value());
  EXPECT_FALSE(fields.Texts("object").has_value());
  EXPECT_FALSE(fields.List("object").has_value());
  EXPECT_FALSE(fields.Object("list").has_value());
}

}  // namespace
}  // namespace linnet
