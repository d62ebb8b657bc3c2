// Damaged and hostile tokenizer files: an error or a working tokenizer, never a crash. Worth the most under
// sanitizers.
#include <random>

#include <fmt/format.h>

#include "text/golden_testing.h"
#include "text/utf8.h"
#include "text/vocabulary.h"

namespace linnet {
namespace {

constexpr std::string_view kProbe = "a b\nab <x> <bos>\xFF é😀 <|turn>";

void UseIfLoaded(const Result<std::unique_ptr<Tokenizer>>& tokenizer) {
  if (!tokenizer) {
    EXPECT_FALSE(tokenizer.error().what.empty());
    return;
  }
  const std::vector<int32_t> ids = (*tokenizer)->Encode(kProbe);
  for (const int32_t id : ids) EXPECT_TRUE(id >= 0 && id < (*tokenizer)->vocab_size());
  EXPECT_TRUE(IsValidUtf8((*tokenizer)->Decode(ids)));
  (*tokenizer)->EncodeOrdinary(kProbe);
}

// A complete file of a few kilobytes: every construct, few entries.
std::string SmallFile() {
  nlohmann::ordered_json file = {
      {"version", "1.0"},
      {"added_tokens", nlohmann::ordered_json::array()},
      {"normalizer", {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", kSpaceMark}}},
      {"pre_tokenizer", {{"type", "Split"}, {"pattern", {{"String", " "}}}, {"invert", false}}},
      {"decoder",
       {{"type", "Sequence"},
        {"decoders",
         {{{"type", "Replace"}, {"pattern", {{"String", kSpaceMark}}}, {"content", " "}},
          {{"type", "ByteFallback"}},
          {{"type", "Fuse"}}}}}},
      {"model", {{"type", "BPE"}, {"unk_token", "<unk>"}, {"byte_fallback", true}, {"fuse_unk", true}}}};
  nlohmann::ordered_json& vocabulary = file["model"]["vocab"];
  for (const char* token : {"<unk>", "<bos>", "<|turn>", "a", "b", "ab", "▁", "▁a", "\n", "é"}) {
    vocabulary[token] = vocabulary.size();
  }
  file["model"]["merges"] = nlohmann::ordered_json::parse(R"([["a", "b"], ["▁", "a"]])");
  for (const auto& [content, id] : {std::pair("<bos>", 1), {"<|turn>", 2}, {"<x>", 30}}) {
    file["added_tokens"].push_back({{"id", id},
                                    {"content", content},
                                    {"special", true},
                                    {"normalized", false},
                                    {"lstrip", false},
                                    {"rstrip", id == 30},
                                    {"single_word", false}});
  }
  return file.dump();
}

TEST(TokenizerDamage, TheFileItselfIsGood) {
  const auto tokenizer = TokenizerFromJson(SmallFile());
  ASSERT_TRUE(tokenizer) << tokenizer.error().Message();
  EXPECT_EQ((*tokenizer)->Encode("ab<x> a"), (std::vector<int32_t>{5, 30, 3}));
}

TEST(TokenizerDamage, EveryTruncation) {
  const std::string file = SmallFile();
  for (size_t length = 0; length < file.size(); ++length) {
    const auto tokenizer = TokenizerFromJson(std::string_view(file).substr(0, length));
    ASSERT_FALSE(tokenizer) << length;
    EXPECT_NE(tokenizer.error().what.find("JSON"), std::string::npos) << tokenizer.error().what;
  }
}

TEST(TokenizerDamage, RandomByteFlips) {
  const std::string file = SmallFile();
  std::mt19937 random(2);
  for (int round = 0; round < 10000; ++round) {
    std::string damaged = file;
    for (size_t n = 1 + random() % 3; n-- > 0;) {
      char& byte = damaged[random() % damaged.size()];
      switch (random() % 3) {
        case 0:
          byte = static_cast<char>(byte ^ 1 << random() % 8);
          break;
        case 1:
          byte = static_cast<char>(random());
          break;
        default:
          byte = "0123456789-.,:[]{}\"eE\\"[random() % 22];
      }
    }
    UseIfLoaded(TokenizerFromJson(damaged));
  }
}

TEST(TokenizerDamage, PiecesCutOutAndRepeated) {
  const std::string file = SmallFile();
  std::mt19937 random(4);
  for (int round = 0; round < 5000; ++round) {
    std::string damaged = file;
    const size_t begin = random() % file.size(), length = random() % 60;
    if (random() % 2 == 0) {
      damaged.erase(begin, length);
    } else {
      damaged.insert(random() % file.size(), file.substr(begin, length));
    }
    UseIfLoaded(TokenizerFromJson(damaged));
  }
}

TEST(TokenizerDamage, TheReferenceFileTruncatedAndFlipped) {
  const std::string file = testing::ReadGolden("tokenizer/small/tokenizer.json");
  for (size_t length = 0; length < file.size(); length += 16384) {
    EXPECT_FALSE(TokenizerFromJson(std::string_view(file).substr(0, length)));
  }
  std::mt19937 random(6);
  for (int round = 0; round < 100; ++round) {
    std::string damaged = file;
    damaged[random() % damaged.size()] ^= static_cast<char>(1 << random() % 8);
    UseIfLoaded(TokenizerFromJson(damaged));
  }
}

TEST(TokenizerDamage, RandomVocabularies) {
  std::mt19937 random(8);
  const std::vector<std::string> texts = {"",        "a",      "b",         "ab",  " ",    "  ",
                                          "▁",       "▁▁",     "<bos>",     "<x>", "\xFF", "é",
                                          "<|turn>", "<0x41>", "<|video|>", "a b"};
  const std::vector<std::string> merges = {"a b", "", " ", "  ", "a", "  a", "▁ ▁", "a  b", "é \xFF"};
  for (int round = 0; round < 20000; ++round) {
    Vocabulary vocabulary;
    vocabulary.model = random() % 16 == 0 ? "other" : "";
    for (size_t n = random() % 12; n-- > 0;) {
      vocabulary.tokens.push_back(texts[random() % texts.size()]);
      vocabulary.types.push_back(static_cast<int32_t>(random() % 9) - 1);
      vocabulary.scores.push_back(random() % 9 == 0 ? NAN : static_cast<float>(random() % 5));
    }
    for (size_t n = random() % 3; n-- > 0;) vocabulary.merges.push_back(merges[random() % merges.size()]);
    if (random() % 8 == 0) vocabulary.types.push_back(1);
    if (random() % 8 == 0) vocabulary.scores.clear();
    vocabulary.unknown_id = static_cast<int32_t>(random() % 14) - 2;
    UseIfLoaded(TokenizerFromVocabulary(vocabulary));
  }
}

TEST(TokenizerDamage, LongTextsWithManyAddedTokensStayFast) {
  // Every place of the text begins a match as long as is allowed, but for its last byte.
  nlohmann::json file = nlohmann::json::parse(SmallFile());
  file["added_tokens"].push_back({{"id", 31}, {"content", std::string(511, 'a') + "!"}, {"special", false}});
  const auto tokenizer = TokenizerFromJson(file.dump());
  ASSERT_TRUE(tokenizer) << tokenizer.error().Message();
  EXPECT_EQ((*tokenizer)->Encode(std::string(50000, 'a')).size(), 50000u);
}

}  // namespace
}  // namespace linnet
