#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include <gtest/gtest.h>

#include "eval/parity.h"

namespace linnet {
namespace {

namespace fs = std::filesystem;

using Runner = Status (*)(const fs::path&, const ParityOptions&, const CaseSink&);

const fs::path kGoldenData = LINNET_SOURCE_DIR "/tests/data/golden";

std::map<std::string, CaseResult> RunTextCases(Runner run, const fs::path& root) {
  std::map<std::string, CaseResult> results;
  const Status status = run(root, {}, [&](const CaseResult& result) { results[result.name] = result; });
  EXPECT_TRUE(status.has_value()) << status.error().Message();
  return results;
}

TEST(TextParity, EveryCasePasses) {
  auto results = RunTextCases(RunTokenizerCases, kGoldenData);
  results.merge(RunTextCases(RunChatCases, kGoldenData));
  for (const char* name : {"tokenizer/small/strings", "tokenizer/small/id_sequences", "tokenizer/big/strings",
                           "tokenizer/big/id_sequences", "tokenizer/big/long_lines", "chat/conversations"}) {
    ASSERT_TRUE(results.contains(name)) << name;
  }
  for (const auto& [name, result] : results)
    EXPECT_EQ(result.state, CaseState::kPass) << name << ": " << result.note;
  EXPECT_NE(results.at("chat/conversations").note.find("deliberately different"), std::string::npos);
}

// A copy of the small reference data in which one text is replaced.
class AlteredText : public ::testing::Test {
 protected:
  void SetUp() override {
    root_ = fs::path(::testing::TempDir()) / "text_parity";
    fs::remove_all(root_);
    fs::create_directories(root_ / "tokenizer");
    fs::copy(kGoldenData / "tokenizer" / "small", root_ / "tokenizer" / "small");
    fs::copy(kGoldenData / "chat", root_ / "chat");
  }
  void TearDown() override { fs::remove_all(root_); }

  void Replace(const char* file, const std::string& from, const std::string& to) {
    std::ostringstream text;
    text << std::ifstream(root_ / file).rdbuf();
    std::string bytes = text.str();
    const size_t at = bytes.find(from);
    ASSERT_NE(at, std::string::npos);
    bytes.replace(at, from.size(), to);
    fs::remove(root_ / file);
    std::ofstream(root_ / file) << bytes;
  }

  fs::path root_;
};

TEST_F(AlteredText, AWrongIdFails) {
  Replace("tokenizer/small/strings.jsonl", "[2316, 1155,", "[2316, 1156,");
  const auto result = RunTextCases(RunTokenizerCases, root_).at("tokenizer/small/strings");
  EXPECT_EQ(result.state, CaseState::kFail);
  EXPECT_NE(result.note.find("1155 instead of 1156"), std::string::npos) << result.note;
}

TEST_F(AlteredText, AWrongTextFails) {
  Replace("chat/conversations.jsonl", "You are brief.<turn|>", "You are brief. <turn|>");
  const auto result = RunTextCases(RunChatCases, root_).at("chat/conversations");
  EXPECT_EQ(result.state, CaseState::kFail);
  EXPECT_NE(result.note.find("system and user"), std::string::npos) << result.note;
}

TEST_F(AlteredText, ADamagedRowIsAnErrorWithItsLine) {
  Replace("tokenizer/small/strings.jsonl", "{\"text\"", "{\"txt\"");
  const Status status = RunTokenizerCases(root_, {}, [](const CaseResult&) {});
  ASSERT_FALSE(status);
  EXPECT_NE(status.error().what.find("line 1"), std::string::npos) << status.error().what;
}

}  // namespace
}  // namespace linnet
