#include "server/access.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace linnet {
namespace {

class KeyFile : public ::testing::Test {
 protected:
  KeyFile() : path_(std::filesystem::temp_directory_path() / ("linnet_keys_" + std::to_string(getpid()))) {}
  ~KeyFile() override { std::filesystem::remove(path_); }
  std::string Write(const std::string& content, mode_t mode = 0600) {
    std::ofstream(path_) << content;
    chmod(path_.c_str(), mode);
    return path_.string();
  }
  std::filesystem::path path_;
};

TEST_F(KeyFile, EachLineIsAKey) {
  const auto keys = ApiKeys::Read(Write("# of the team\nfirst\n\n  second \r\n"), "third");
  ASSERT_TRUE(keys.has_value()) << keys.error().Message();
  for (const char* key : {"first", "second", "third"}) EXPECT_FALSE(keys->Owner(key).empty()) << key;
  for (const char* key : {"", "# of the team", "fourth", "firs", "second "}) {
    EXPECT_TRUE(keys->Owner(key).empty()) << key;
  }
  EXPECT_NE(keys->Owner("first"), keys->Owner("second"));
}

TEST_F(KeyFile, IsRefusedWhereOthersReadItOrItHasNone) {
  EXPECT_FALSE(ApiKeys::Read(Write("key\n", 0644), "").has_value());
  EXPECT_FALSE(ApiKeys::Read(Write("# nothing\n"), "").has_value());
  EXPECT_FALSE(ApiKeys::Read(path_.string() + ".none", "").has_value());
}

TEST(ApiKeys, WithoutAnyEveryKeyWillDo) {
  const auto keys = ApiKeys::Read("", "");
  ASSERT_TRUE(keys.has_value());
  EXPECT_FALSE(keys->any());
  EXPECT_FALSE(keys->Owner("").empty());
  EXPECT_NE(keys->Owner("mine"), keys->Owner("yours"));
}

TEST(KeyOfRequest, IsFoundInEachProtocolsWay) {
  const auto key = [](const char* name, const char* value) {
    HttpRequest request;
    request.headers = {{name, value}};
    return std::string(KeyOf(request));
  };
  EXPECT_EQ(key("authorization", "Bearer secret"), "secret");
  EXPECT_EQ(key("authorization", "bearer  secret "), "secret");
  EXPECT_EQ(key("x-api-key", "secret"), "secret");
  EXPECT_EQ(key("api-key", "secret"), "secret");
  EXPECT_EQ(key("authorization", "Basic c2VjcmV0"), "");
}

TEST(AllowedNames, LetAddressesAndOwnNamesIn) {
  const AllowedNames names{.hosts = {"Models.example"}, .origins = {"https://chat.example"}};
  for (const char* host : {"localhost", "localhost:8080", "127.0.0.1:1", "[::1]:8080", "192.0.2.7",
                           "models.example:8080", "MODELS.EXAMPLE"}) {
    EXPECT_TRUE(names.HostIsAllowed(host)) << host;
  }
  for (const char* host : {"", "evil.example", "localhost.evil.example", "127.0.0.1.evil.example:8080",
                           "[evil.example]", ":8080"}) {
    EXPECT_FALSE(names.HostIsAllowed(host)) << host;
  }
  EXPECT_TRUE(names.OriginIsAllowed("http://127.0.0.1:8080", "127.0.0.1:8080"));
  EXPECT_TRUE(names.OriginIsAllowed("https://chat.example", "127.0.0.1:8080"));
  for (const char* origin : {"null", "http://evil.example", "http://127.0.0.1:8081", "http://chat.example"}) {
    EXPECT_FALSE(names.OriginIsAllowed(origin, "127.0.0.1:8080")) << origin;
  }
}

}  // namespace
}  // namespace linnet
