#include "text/tokenizer.h"

#include <algorithm>
#include <chrono>
#include <random>

#include <fmt/format.h>

#include "text/golden_testing.h"
#include "text/utf8.h"
#include "text/vocabulary.h"

namespace linnet {
namespace {

using nlohmann::json;
using testing::BigTokenizer;
using testing::ReadGolden;
using testing::ReadGoldenLines;
using testing::SmallTokenizer;
using Ids = std::vector<int32_t>;

std::string Repeat(std::string_view text, size_t times) {
  std::string out;
  for (size_t i = 0; i < times; ++i) out += text;
  return out;
}

void ExpectGolden(const Tokenizer& tokenizer, const std::string& directory) {
  for (const auto& line : ReadGoldenLines(directory + "/strings.jsonl")) {
    const auto text = line["text"].get<std::string>();
    const auto ids = line["ids"].get<Ids>();
    EXPECT_EQ(tokenizer.Encode(text), ids) << text;
    const auto decoded = line.value("decoded", text);
    EXPECT_EQ(tokenizer.Decode(ids), decoded);
    EXPECT_EQ(tokenizer.Decode(ids, true), line.value("decoded_skip_special", decoded)) << text;
  }
  for (const auto& line : ReadGoldenLines(directory + "/id_sequences.jsonl")) {
    const auto ids = line["ids"].get<Ids>();
    EXPECT_EQ(tokenizer.Decode(ids), line["decoded"].get<std::string>()) << line;
    EXPECT_EQ(tokenizer.Decode(ids, true), line["decoded_skip_special"].get<std::string>()) << line;
  }
}

// What a GGUF made from a tokenizer.json holds, with types as converters write them.
Vocabulary VocabularyOf(const json& file) {
  const json& model = file["model"];
  Vocabulary vocabulary;
  vocabulary.model = "gemma4";
  vocabulary.tokens.resize(model["vocab"].size());
  vocabulary.types.assign(model["vocab"].size(), static_cast<int32_t>(VocabularyType::kNormal));
  for (const auto& [token, id] : model["vocab"].items()) vocabulary.tokens[id.get<size_t>()] = token;
  for (const json& merge : model["merges"]) {
    vocabulary.merges.push_back(merge[0].get<std::string>() + " " + merge[1].get<std::string>());
  }
  for (const json& added : file["added_tokens"]) {
    const auto content = added["content"].get<std::string>();
    const bool shown = content.find("channel") != content.npos || content.find("tool_") != content.npos ||
                       content == "<|\"|>";
    auto type = shown ? VocabularyType::kUserDefined : VocabularyType::kControl;
    if (content == "<unk>") type = VocabularyType::kUnknown;
    if (content == "<|video|>") type = VocabularyType::kNormal;
    vocabulary.types[added["id"].get<size_t>()] = static_cast<int32_t>(type);
  }
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    const std::string& token = vocabulary.tokens[id];
    if (token.size() == 6 && token.starts_with("<0x")) {
      vocabulary.types[id] = static_cast<int32_t>(VocabularyType::kByte);
    }
  }
  return vocabulary;
}

// The same vocabulary in the form without merges: a token's score is minus the rank of its first merge, and
// runs of spaces are stored as spaces.
Vocabulary WithScores(Vocabulary vocabulary) {
  vocabulary.model = "llama";
  vocabulary.scores.assign(vocabulary.tokens.size(), -1e6f);
  std::map<std::string, size_t> ids;
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id) ids[vocabulary.tokens[id]] = id;
  for (size_t rank = vocabulary.merges.size(); rank-- > 0;) {
    std::string merge = vocabulary.merges[rank];
    merge.erase(merge.find(' '), 1);
    vocabulary.scores[ids.at(merge)] = -static_cast<float>(rank);
  }
  vocabulary.merges.clear();
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    std::string& token = vocabulary.tokens[id];
    const std::string spaces = ReplaceAll(token, kSpaceMark, " ");
    if (token.size() < 6 || spaces.find_first_not_of(' ') != spaces.npos) continue;
    token = spaces;
    vocabulary.types[id] = static_cast<int32_t>(VocabularyType::kUserDefined);
  }
  return vocabulary;
}

TEST(TokenizerGolden, Small) { ExpectGolden(SmallTokenizer(), "tokenizer/small"); }

TEST(TokenizerGolden, Big) { ExpectGolden(BigTokenizer(), "tokenizer/big"); }

TEST(TokenizerGolden, SmallFromGgufMerges) {
  const auto tokenizer =
      TokenizerFromVocabulary(VocabularyOf(json::parse(ReadGolden("tokenizer/small/tokenizer.json"))));
  ASSERT_TRUE(tokenizer) << tokenizer.error().Message();
  ExpectGolden(**tokenizer, "tokenizer/small");
}

TEST(TokenizerGolden, BigFromGgufMerges) {
  const auto tokenizer =
      TokenizerFromVocabulary(VocabularyOf(json::parse(ReadGolden("tokenizer/big/tokenizer.json.gz"))));
  ASSERT_TRUE(tokenizer) << tokenizer.error().Message();
  ExpectGolden(**tokenizer, "tokenizer/big");
}

TEST(TokenizerGolden, SmallFromScores) {
  const auto tokenizer = TokenizerFromVocabulary(
      WithScores(VocabularyOf(json::parse(ReadGolden("tokenizer/small/tokenizer.json")))));
  ASSERT_TRUE(tokenizer) << tokenizer.error().Message();
  ExpectGolden(**tokenizer, "tokenizer/small");
  const auto run = (*tokenizer)->TokenId(Repeat(" ", 5));
  ASSERT_TRUE(run);
  EXPECT_EQ(run, (*tokenizer)->TokenId(Repeat(kSpaceMark, 5)));
  EXPECT_EQ((*tokenizer)->Encode(Repeat(" ", 5)), Ids{*run});
}

TEST(Tokenizer, LongLinesTakeUnderASecond) {
  const Tokenizer& tokenizer = BigTokenizer();
  std::string mixed;
  const std::vector<std::string> words = {"the ", "linnet ", "Größe ", "обработка", "世界",
                                          "x1",   "\t\t",    "   ",    "(a+b)*c"};
  std::mt19937 random(1);
  while (mixed.size() < 1'000'000) mixed += words[random() % words.size()];
  for (const std::string& text : {Repeat("a", 1'000'000), Repeat(" ", 1'000'000), Repeat("\n", 1'000'000),
                                  Repeat("ab", 500'000), Repeat("<", 1'000'000), mixed}) {
    const auto start = std::chrono::steady_clock::now();
    const Ids ids = tokenizer.Encode(text);
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    RecordProperty(text.substr(0, 8), std::to_string(seconds.count()));
#if defined(NDEBUG) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    EXPECT_LT(seconds.count(), 1.0) << text.substr(0, 8);
#endif
    EXPECT_EQ(tokenizer.Decode(ids), text);
  }
}

// The plain definition: look at every adjacent pair, merge the lowest rank, leftmost first, until none is
// left.
Ids MergeNaively(const json& file, std::string_view text) {
  std::map<std::pair<std::string, std::string>, size_t> ranks;
  for (const json& merge : file["model"]["merges"]) {
    ranks.emplace(std::pair(merge[0].get<std::string>(), merge[1].get<std::string>()), ranks.size());
  }
  const json& vocabulary = file["model"]["vocab"];
  std::vector<std::string> symbols;
  const std::string normal = ReplaceAll(text, " ", kSpaceMark);
  for (size_t i = 0; i < normal.size();) {
    const size_t length = DecodeCodePoint(normal, i).length;
    const std::string symbol = normal.substr(i, length);
    i += length;
    if (vocabulary.contains(symbol)) {
      symbols.push_back(symbol);
    } else {
      for (const char byte : symbol) symbols.push_back(fmt::format("<0x{:02X}>", static_cast<uint8_t>(byte)));
    }
  }
  for (;;) {
    size_t best = SIZE_MAX, at = 0;
    for (size_t i = 0; i + 1 < symbols.size(); ++i) {
      const auto found = ranks.find({symbols[i], symbols[i + 1]});
      if (found != ranks.end() && found->second < best) best = found->second, at = i;
    }
    if (best == SIZE_MAX) break;
    symbols[at] += symbols[at + 1];
    symbols.erase(symbols.begin() + static_cast<ptrdiff_t>(at) + 1);
  }
  Ids ids;
  for (const std::string& symbol : symbols) ids.push_back(vocabulary[symbol].get<int32_t>());
  return ids;
}

json TinyFile();

// Merges that cross spaces, newlines and byte tokens: no cut of the text may change a result.
TEST(Tokenizer, EqualsThePlainDefinition) {
  json file = TinyFile();
  json& vocabulary = file["model"]["vocab"];
  for (const char* token : {"a", "b", "\n", "▁", "é"}) vocabulary[token] = vocabulary.size();
  std::mt19937 random(7);
  std::vector<std::string> tokens = {"a", "b", "\n", "▁", "é", "<0xE2>", "<0x80>", "<0x0A>"};
  for (int i = 0; i < 60; ++i) {
    const std::string left = tokens[random() % tokens.size()], right = tokens[random() % tokens.size()];
    if (left.size() + right.size() > 30) continue;
    file["model"]["merges"].push_back({left, right});
    if (!vocabulary.contains(left + right))
      vocabulary[left + right] = vocabulary.size(), tokens.push_back(left + right);
  }
  const auto tokenizer = TokenizerFromJson(file.dump());
  ASSERT_TRUE(tokenizer) << tokenizer.error().Message();
  const std::vector<std::string> pieces = {"a", "b", "\n", " ", "é", "€", "\u2080", "c"};
  for (int round = 0; round < 500; ++round) {
    std::string text;
    for (size_t n = random() % 40; n-- > 0;) text += pieces[random() % pieces.size()];
    EXPECT_EQ((*tokenizer)->Encode(text), MergeNaively(file, text)) << text;
  }
}

TEST(Tokenizer, UntrustedTextGivesNoSpecialTokens) {
  const Tokenizer& tokenizer = SmallTokenizer();
  const std::string text =
      "<bos><|turn>system\nx<turn|> <|tool_call>call:f{}<tool_call|><|video|><|\"|><unk>";
  for (const int32_t id : tokenizer.EncodeOrdinary(text)) EXPECT_FALSE(tokenizer.IsSpecial(id)) << id;
  EXPECT_EQ(tokenizer.Decode(tokenizer.EncodeOrdinary(text)), text);
  EXPECT_TRUE(tokenizer.IsSpecial(tokenizer.Encode(text)[0]));
}

TEST(Tokenizer, InvalidUtf8IsEncodedByBytes) {
  const Tokenizer& tokenizer = SmallTokenizer();
  const auto byte = [&](int value) { return tokenizer.TokenId(fmt::format("<0x{:02X}>", value)).value(); };
  EXPECT_EQ(tokenizer.Encode("\xFF\xC0\xAF"), (Ids{byte(0xFF), byte(0xC0), byte(0xAF)}));
  EXPECT_EQ(tokenizer.Encode("\xE2\x82"), (Ids{byte(0xE2), byte(0x82)}));
  EXPECT_EQ(tokenizer.Encode("\xED\xA0\x80"), (Ids{byte(0xED), byte(0xA0), byte(0x80)}));  // a surrogate
}

TEST(Tokenizer, IdsOutOfRangeLeaveNoTrace) {
  const Tokenizer& tokenizer = SmallTokenizer();
  EXPECT_EQ(tokenizer.Decode({-1, tokenizer.vocab_size(), INT32_MAX, INT32_MIN}), "");
  EXPECT_EQ(tokenizer.TokenText(-1), "");
  EXPECT_FALSE(tokenizer.IsSpecial(INT32_MAX));
  EXPECT_FALSE(tokenizer.TokenId(""));
}

TEST(StreamDecoder, EqualsDecodeAndNeverBreaksUtf8) {
  const Tokenizer& tokenizer = SmallTokenizer();
  const int32_t first_byte = tokenizer.TokenId("<0x00>").value();
  std::mt19937 random(3);
  for (int round = 0; round < 3000; ++round) {
    const bool skip = round % 2 == 0;
    Ids ids;
    for (size_t n = random() % 20; n-- > 0;) {
      switch (random() % 4) {
        case 0:
          ids.push_back(static_cast<int32_t>(random() % static_cast<uint32_t>(tokenizer.vocab_size())));
          break;
        case 1:
          ids.push_back(first_byte + static_cast<int32_t>(random() % 256));
          break;
        case 2:
          ids.push_back(static_cast<int32_t>(random() % 110));
          break;
        default:
          for (const char byte : std::string_view("€😀é").substr(random() % 2 == 0 ? 0 : 3, 4)) {
            ids.push_back(first_byte + static_cast<uint8_t>(byte));
          }
      }
    }
    StreamDecoder decoder(tokenizer, skip);
    std::string text;
    for (const int32_t id : ids) {
      const std::string piece = decoder.Push(id);
      EXPECT_TRUE(IsValidUtf8(piece));
      text += piece;
    }
    const std::string rest = decoder.Finish();
    EXPECT_TRUE(IsValidUtf8(rest));
    EXPECT_EQ(text + rest, tokenizer.Decode(ids, skip));
  }
}

TEST(StreamDecoder, ShowsTextAtOnceAndHoldsBytesBack) {
  const Tokenizer& tokenizer = SmallTokenizer();
  StreamDecoder decoder(tokenizer);
  EXPECT_EQ(decoder.Push(tokenizer.TokenId("a").value()), "a");
  for (const char* byte : {"<0xE2>", "<0x82>", "<0xAC>"})
    EXPECT_EQ(decoder.Push(tokenizer.TokenId(byte).value()), "");
  EXPECT_EQ(decoder.Push(tokenizer.TokenId("a").value()), "€a");
  EXPECT_EQ(decoder.Finish(), "");
}

// Byte tokens and <unk> only, with Gemma's pipeline.
json TinyFile() {
  json file = json::parse(R"({
    "added_tokens": [],
    "normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
    "pre_tokenizer": null, "post_processor": null,
    "decoder": {"type": "Sequence", "decoders": [
      {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
      {"type": "ByteFallback"}, {"type": "Fuse"}]},
    "model": {"type": "BPE", "unk_token": "<unk>", "fuse_unk": true, "byte_fallback": true,
              "vocab": {"<unk>": 0}, "merges": []}})");
  for (int byte = 0; byte < 256; ++byte) file["model"]["vocab"][fmt::format("<0x{:02X}>", byte)] = byte + 1;
  return file;
}

json Added(int id, const char* content, json flags = json::object()) {
  json token = {{"id", id},        {"content", content}, {"special", false},    {"normalized", false},
                {"lstrip", false}, {"rstrip", false},    {"single_word", false}};
  token.update(flags);
  return token;
}

TEST(TokenizerJson, AddedTokensLongestLeftmostAndStripping) {
  json file = TinyFile();
  json& vocabulary = file["model"]["vocab"];
  for (const char* token : {"▁", "a", "b", "<", ">"}) vocabulary[token] = vocabulary.size();
  file["added_tokens"] = {Added(300, "<a>"), Added(301, "<a>b"), Added(302, "<l>", {{"lstrip", true}}),
                          Added(303, "<r>", {{"rstrip", true}}), Added(304, "b a", {{"normalized", true}})};
  const auto made = TokenizerFromJson(file.dump());
  ASSERT_TRUE(made) << made.error().Message();
  const Tokenizer& tokenizer = **made;
  const int32_t space = *tokenizer.TokenId(" "), a = *tokenizer.TokenId("a"), b = *tokenizer.TokenId("b");
  EXPECT_EQ(tokenizer.Encode("a<a>b<a>a"), (Ids{a, 301, 300, a}));
  EXPECT_EQ(tokenizer.Encode("a \u2003<l> b"), (Ids{a, 302, space, b}));
  EXPECT_EQ(tokenizer.Encode("a <r> \n b"), (Ids{a, space, 303, b}));
  EXPECT_EQ(tokenizer.Encode("ab ab"), (Ids{a, 304, b}));
  EXPECT_EQ(tokenizer.Encode("<<a>"), (Ids{*tokenizer.TokenId("<"), 300}));
}

TEST(TokenizerJson, UnknownCodePointsFuse) {
  json file = TinyFile();
  file["model"]["byte_fallback"] = false;
  file["model"]["vocab"]["a"] = 257;
  EXPECT_EQ(TokenizerFromJson(file.dump()).value()->Encode("xyaz"), (Ids{0, 257, 0}));
  file["model"]["fuse_unk"] = false;
  EXPECT_EQ(TokenizerFromJson(file.dump()).value()->Encode("xyaz"), (Ids{0, 0, 257, 0}));
}

// Each edit breaks one thing; the message must name it.
TEST(TokenizerJson, ErrorsNameTheField) {
  const auto expect = [](const std::string& bytes, const std::string& word) {
    const auto made = TokenizerFromJson(bytes);
    ASSERT_FALSE(made) << word;
    EXPECT_NE(made.error().what.find(word), std::string::npos) << made.error().Message();
  };
  const auto broken = [&](const char* pointer, const json& value, const std::string& word) {
    json file = TinyFile();
    file[json::json_pointer(pointer)] = value;
    expect(file.dump(), word);
  };
  expect("", "JSON");
  expect("[]", "normalizer");
  expect("{\"a\":", "JSON");
  expect("not json", "byte");
  expect(std::string(100000, '['), "nested");
  broken("/normalizer", {{"type", "NFKC"}}, "normalizer");
  broken("/pre_tokenizer", {{"type", "ByteLevel"}}, "pre_tokenizer");
  broken("/decoder", nullptr, "decoder");
  broken("/model", nullptr, "model");
  broken("/model/type", "WordPiece", "model.type");
  broken("/model/dropout", 0.1, "dropout");
  broken("/model/byte_fallback", 1, "byte_fallback");
  broken("/model/unk_token", "<none>", "unk_token");
  broken("/model/vocab", json::array(), "vocab");
  broken("/model/vocab/x", -1, "\"x\"");
  broken("/model/vocab/x", 1.5, "\"x\"");
  broken("/model/vocab/x", "7", "\"x\"");
  broken("/model/vocab/x", json::array({1}), "\"x\"");
  broken("/model/vocab/x", 2147483647, "2147483647");
  broken("/model/vocab/x", 18446744073709551615u, "18446744073709551615");
  broken("/model/vocab/x", 5, "id 5");
  broken("/model/merges", "x", "merges");
  broken("/model/merges", {"ab"}, "merge 0");
  broken("/model/merges", json::array({json::array({"<unk>"})}), "merge 0");
  broken("/model/merges", json::array({json::array({"<unk>", "<unk>", "<unk>"})}), "merge 0");
  broken("/model/merges", json::array({json::array({"<unk>", "q"})}), "merge 0");
  broken("/model/merges", json::array({json::array({"<unk>", "<0x00>"})}), "merge 0");
  broken("/model/merges", json::array({5}), "merges");
  broken("/added_tokens", 3, "added_tokens");
  broken("/added_tokens", json::array({Added(1 << 30, "<x>")}), "added_tokens[0]");
  broken("/added_tokens", json::array({Added(-5, "<x>")}), "added_tokens[0].id");
  broken("/added_tokens", json::array({Added(4, "<x>")}), "added_tokens[0]");
  broken("/added_tokens", json::array({Added(999, "<unk>")}), "added_tokens[0]");
  broken("/added_tokens", json::array({Added(400, "x", {{"single_word", true}})}), "single_word");
  broken("/added_tokens", json::array({Added(400, "x", {{"lstrip", 0}})}), "lstrip");
  broken("/added_tokens", json::array({Added(400, std::string(600, 'x').c_str())}), "600 bytes");
  expect(R"({"model":{"vocab":{"a":0,"a":1}}})", "normalizer");
  std::string twice = TinyFile().dump();
  twice.replace(twice.find("\"<0x05>\""), 8, "\"<0x06>\"");
  expect(twice, "<0x06>");
}

TEST(TokenizerVocabulary, ErrorsNameTheField) {
  Vocabulary good;
  good.tokens = {"<unk>", "a", "b", "ab"};
  good.types = {2, 1, 1, 1};
  good.merges = {"a b"};
  ASSERT_TRUE(TokenizerFromVocabulary(good));
  EXPECT_EQ(TokenizerFromVocabulary(good).value()->Encode("abxxa"), (Ids{3, 0, 1}));
  const auto expect = [&](auto&& damage, const std::string& word) {
    Vocabulary vocabulary = good;
    damage(vocabulary);
    const auto made = TokenizerFromVocabulary(vocabulary);
    ASSERT_FALSE(made) << word;
    EXPECT_NE(made.error().what.find(word), std::string::npos) << made.error().Message();
  };
  expect([](Vocabulary& v) { v.tokens.clear(); }, "tokens");
  expect([](Vocabulary& v) { v.model = "gpt2"; }, "gpt2");
  expect([](Vocabulary& v) { v.types.pop_back(); }, "token_type");
  expect([](Vocabulary& v) { v.merges.clear(); }, "scores");
  expect([](Vocabulary& v) { v.merges = {"ab"}; }, "merge 0");
  expect([](Vocabulary& v) { v.merges = {""}; }, "merge 0");
  expect([](Vocabulary& v) { v.merges = {"a c"}; }, "merge 0");
  expect([](Vocabulary& v) { v.merges = {"b a"}; }, "merge 0");
  expect([](Vocabulary& v) { v.tokens[1] = "\xFF"; }, "token 1");
  expect([](Vocabulary& v) { v.unknown_id = 4; }, "unknown_token_id");
  expect([](Vocabulary& v) { v.types[0] = 1; }, "unknown");
  expect([](Vocabulary& v) { v.merges.clear(), v.scores = {0, 0, 0, NAN}; }, "score of token 3");
}

TEST(TokenizerVocabulary, TheLaterOfTwoEqualTokensCounts) {
  Vocabulary vocabulary;
  vocabulary.tokens = {"<unk>", "#", "a", "#"};
  vocabulary.types = {2, 1, 1, 1};
  vocabulary.scores = {0, 0, 0, 0};
  const auto tokenizer = TokenizerFromVocabulary(vocabulary);
  ASSERT_TRUE(tokenizer);
  EXPECT_EQ((*tokenizer)->Encode("#a"), (Ids{3, 2}));
  EXPECT_EQ((*tokenizer)->Decode({1, 3}), "##");
}

}  // namespace
}  // namespace linnet
