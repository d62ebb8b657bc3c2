// For tests: the built-in model with a compiler of grammars, and walks through a grammar.
#pragma once

#include <memory>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "linnet/grammar.h"
#include "runtime/engine_impl.h"
#include "runtime/token_mask.h"

namespace linnet::testing {

class GrammarFixture : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (!HasGrammars()) return;
    auto engine = Engine::Load({.threads = 1});
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
  static Grammar Schema(const std::string& schema) {
    auto grammar = Compile(GrammarKind::kJsonSchema, schema);
    EXPECT_TRUE(grammar.has_value()) << grammar.error().Message();
    return *grammar;
  }
  static std::string ErrorOf(GrammarKind kind, const std::string& text) {
    const auto grammar = Compile(kind, text);
    return grammar ? "compiled" : grammar.error().Message();
  }

  static const Tokenizer& tokenizer() { return *engine_->impl().tokenizer; }
  static int32_t Id(std::string_view token) { return tokenizer().TokenId(token).value_or(-1); }
  static bool MayEnd(TokenMask& mask) {
    const AllowedWords words = mask.Allowed();
    return IsAllowed(words, static_cast<size_t>(Id("<turn|>")));
  }
  // Whether an answer of this text, with its markers, is one of the grammar.
  static bool Takes(const Grammar& grammar, const std::string& text) {
    const std::unique_ptr<TokenMask> mask = grammar.NewMask();
    for (const int32_t id : tokenizer().Encode(text)) mask->Advance(id);
    return MayEnd(*mask);
  }

  // An answer by chance of at most so many tokens; it ends as soon as it may. Empty if that was too few.
  static std::vector<int32_t> Walk(TokenMask& mask, uint32_t seed, size_t most) {
    std::mt19937 rng(seed);
    std::vector<int32_t> ids;
    while (ids.size() < most) {
      if (MayEnd(mask)) return ids;
      const AllowedWords words = mask.Allowed();
      std::vector<int32_t> allowed;
      for (int32_t id = 0; id < tokenizer().vocab_size(); ++id) {
        if (IsAllowed(words, static_cast<size_t>(id))) allowed.push_back(id);
      }
      if (allowed.empty()) {
        ADD_FAILURE() << "nothing is allowed behind " << tokenizer().Decode(ids);
        return {};
      }
      const int32_t quote = Id("<|\"|>");
      const bool close = rng() % 4 == 0 && IsAllowed(words, static_cast<size_t>(quote));
      ids.push_back(close ? quote : allowed[rng() % allowed.size()]);
      mask.Advance(ids.back());
    }
    return {};
  }

  static inline std::unique_ptr<Engine> engine_;
  static inline std::shared_ptr<const GrammarCompiler> compiler_;
};

}  // namespace linnet::testing
