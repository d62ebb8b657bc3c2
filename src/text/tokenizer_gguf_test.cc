#include "text/tokenizer_gguf.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "io/gguf.h"
#include "io/gguf_test_bytes.h"

namespace linnet {
namespace {

using Ids = std::vector<int32_t>;

const std::vector<std::string> kTokens = {"<unk>", "<bos>", "a", "b", "ab", "<|video|>", "  ", "▁"};
const std::vector<uint32_t> kTypes = {2, 3, 1, 1, 1, 1, 4, 1};

GgufBytes File(bool merges) {
  GgufBytes bytes;
  bytes.Header(0, 5);
  bytes.Text("general.architecture", "gemma4");
  bytes.Text("tokenizer.ggml.model", merges ? "gemma4" : "llama");
  bytes.Array("tokenizer.ggml.tokens", GgufType::kString, kTokens.size());
  for (const std::string& token : kTokens) bytes.String(token);
  bytes.Array("tokenizer.ggml.token_type", GgufType::kI32, kTypes.size());
  for (const uint32_t type : kTypes) bytes.Number(type, 4);
  if (merges) {
    bytes.Array("tokenizer.ggml.merges", GgufType::kString, 1);
    bytes.String("a b");
  } else {
    bytes.Array("tokenizer.ggml.scores", GgufType::kF32, kTokens.size());
    for (size_t i = 0; i < kTokens.size(); ++i) bytes.Number(0, 4);
  }
  bytes.Pad();
  return bytes;
}

TEST(TokenizerGguf, ReadsBothForms) {
  for (const bool merges : {true, false}) {
    const GgufBytes bytes = File(merges);
    const auto file = Gguf::FromBytes(bytes.data, "test.gguf");
    ASSERT_TRUE(file) << file.error().Message();
    const auto tokenizer = TokenizerFromGguf((*file)->metadata());
    ASSERT_TRUE(tokenizer) << tokenizer.error().Message();
    EXPECT_EQ((*tokenizer)->Encode("<bos>aab  a b<|video|>x"), (Ids{1, 2, 4, 6, 2, 7, 3, 5, 0}));
    EXPECT_TRUE((*tokenizer)->IsSpecial(5));
    EXPECT_FALSE((*tokenizer)->IsSpecial(6));
  }
}

TEST(TokenizerGguf, ErrorsNameTheKey) {
  GgufBytes bytes;
  bytes.Header(0, 2);
  bytes.Text("general.architecture", "gemma4");
  bytes.U32("tokenizer.ggml.tokens", 5);
  bytes.Pad();
  const auto file = Gguf::FromBytes(bytes.data, "test.gguf");
  ASSERT_TRUE(file) << file.error().Message();
  const auto tokenizer = TokenizerFromGguf((*file)->metadata());
  ASSERT_FALSE(tokenizer);
  EXPECT_NE(tokenizer.error().what.find("tokenizer.ggml.tokens"), std::string::npos)
      << tokenizer.error().what;
}

}  // namespace
}  // namespace linnet
