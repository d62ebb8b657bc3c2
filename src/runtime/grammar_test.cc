// Grammars with the built-in model: what they allow token by token, and answers that follow them.
#include <gtest/gtest.h>

#include "linnet/grammar.h"
#include "runtime/engine_impl.h"
#include "runtime/token_mask.h"

namespace linnet {
namespace {

class GrammarTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (!HasGrammars()) return;
    auto engine = Engine::Load({});
    ASSERT_TRUE(engine.has_value());
    engine_ = std::move(*engine);
    auto compiler = GrammarCompiler::Create(*engine_);
    ASSERT_TRUE(compiler.has_value()) << compiler.error().Message();
    compiler_ = *compiler;
  }
  static void TearDownTestSuite() {
    compiler_.reset();
    engine_.reset();
  }
  void SetUp() override {
    if (!HasGrammars()) GTEST_SKIP() << "this build has no structured output";
  }

  static Result<Grammar> Compile(GrammarKind kind, const std::string& text) {
    return compiler_->Compile({.kind = kind, .text = text, .choices = {}});
  }
  static bool Takes(const Grammar& grammar, const std::string& text) {
    const std::unique_ptr<TokenMask> mask = grammar.NewMask();
    for (const int32_t id : engine_->impl().tokenizer->Encode(text)) {
      if (!IsAllowed(mask->Allowed(), static_cast<size_t>(id))) return false;
      mask->Advance(id);
    }
    const AllowedWords words = mask->Allowed();
    return IsAllowed(words, static_cast<size_t>(engine_->impl().config.tokens.eos[0]));
  }

  static inline std::unique_ptr<Engine> engine_;
  static inline std::shared_ptr<const GrammarCompiler> compiler_;
};

TEST_F(GrammarTest, Probe) {
  const auto grammar = Compile(GrammarKind::kJsonSchema, getenv("SCHEMA") ? getenv("SCHEMA") : "{}");
  ASSERT_TRUE(grammar.has_value()) << grammar.error().Message();
  if (getenv("TEXT")) printf("takes: %d\n", Takes(*grammar, getenv("TEXT")));
}

}  // namespace
}  // namespace linnet
