#include "runtime/grammar_library.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "runtime/token_bytes.h"
#include "text/utf8.h"

// The part of llguidance's C interface that is used here, as version 1.9.1 has it, which
// grammar_library/Cargo.toml pins. It catches its own panics and reports them as errors.
extern "C" {
struct LlgTokenizer;
struct LlgMatcher;

struct LlgTokenizerInitV2 {
  size_t struct_size;
  uint32_t vocab_size;
  uint32_t tok_eos;
  const uint32_t* token_lens;
  const uint8_t* token_bytes;
  const char* tokenizer_json;
  bool tokenize_assumes_string;
  size_t (*tokenize_fn)(const void* user_data, const uint8_t* bytes, size_t bytes_len, uint32_t* output,
                        size_t output_len);
  bool use_approximate_greedy_tokenize_fn;
  const void* tokenize_user_data;
  const char* const* slices;
  const uint32_t* tok_eos_extra;
  uint32_t tok_eos_extra_count;
};

struct LlgParserLimits {
  size_t max_items_in_row;
  uint64_t initial_lexer_fuel;
  uint64_t step_lexer_fuel;
  size_t step_max_items;
  size_t max_lexer_states;
  size_t max_grammar_size;
  bool precompute_large_lexemes;
  bool verbose_errors;
};

struct LlgConstraintInit {
  const LlgTokenizer* tokenizer;
  uint32_t log_buffer_level;
  uint32_t log_stderr_level;
  bool ff_tokens_ok;
  bool backtrack_ok;
  LlgParserLimits limits;
};

LlgTokenizer* llg_new_tokenizer_v2(const LlgTokenizerInitV2* init, char* error, size_t error_len);
void llg_free_tokenizer(LlgTokenizer* tokenizer);
void llg_constraint_init_set_defaults(LlgConstraintInit* init, const LlgTokenizer* tokenizer);
LlgMatcher* llg_new_matcher(const LlgConstraintInit* init, const char* kind, const char* data);
LlgMatcher* llg_clone_matcher(const LlgMatcher* matcher);
void llg_free_matcher(LlgMatcher* matcher);
const char* llg_matcher_get_error(LlgMatcher* matcher);
int32_t llg_matcher_compute_mask_into(LlgMatcher* matcher, uint32_t* mask, size_t bytes);
int32_t llg_matcher_validate_tokens(LlgMatcher* matcher, const uint32_t* tokens, size_t count);
int32_t llg_matcher_consume_token(LlgMatcher* matcher, uint32_t token);
int32_t llg_matcher_rollback(LlgMatcher* matcher, size_t count);
}

namespace linnet {

struct FreeTokenizer {
  void operator()(LlgTokenizer* tokenizer) const { llg_free_tokenizer(tokenizer); }
};
struct FreeMatcher {
  void operator()(LlgMatcher* matcher) const { llg_free_matcher(matcher); }
};

namespace {

// One state takes about 2 kB; ordinary grammars have hundreds.
constexpr size_t kMostLexerStates = 32768;

// Forced texts are written with the tokens that the model was trained on.
size_t Tokenise(const void* tokenizer, const uint8_t* bytes, size_t size, uint32_t* output, size_t room) {
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  const std::vector<int32_t> ids = static_cast<const Tokenizer*>(tokenizer)->EncodeOrdinary(text);
  std::copy_n(ids.begin(), std::min(room, ids.size()), output);
  return ids.size();
}

// What a person reads of the library's message: one line without its traces.
std::string GrammarReason(std::string_view message) {
  message = message.substr(0, message.find("\n<"));
  std::string line;
  for (const char c : message) {
    if (c != '\n') {
      line += c;
    } else if (!line.ends_with(' ')) {
      line += ' ';
    }
  }
  return std::string(Strip(line));
}

std::unexpected<Error> Spent(LlgMatcher* matcher) {
  const char* message = llg_matcher_get_error(matcher);
  return Fail(ErrorCode::kInvalidArgument,
              "the grammar cannot go on: " + GrammarReason(message == nullptr ? "" : message),
              "make the grammar simpler");
}

}  // namespace

struct TokenTrie::Impl {
  std::shared_ptr<const Tokenizer> tokenizer;
  std::unique_ptr<LlgTokenizer, FreeTokenizer> handle;
};

struct GrammarState::Impl {
  std::shared_ptr<const TokenTrie> trie;
  std::unique_ptr<LlgMatcher, FreeMatcher> handle;
};

bool HasGrammarLibrary() { return true; }

TokenTrie::TokenTrie(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TokenTrie::~TokenTrie() = default;
const Tokenizer& TokenTrie::tokenizer() const { return *impl_->tokenizer; }

Result<std::shared_ptr<const TokenTrie>> TokenTrie::Make(std::shared_ptr<const Tokenizer> tokenizer,
                                                         int64_t ids, std::span<const int32_t> ends) {
  std::vector<uint32_t> lengths(static_cast<size_t>(ids));
  std::string bytes;
  for (int32_t id = 0; id < std::min<int64_t>(ids, tokenizer->vocab_size()); ++id) {
    const std::string token = TokenBytes(*tokenizer, id);
    lengths[static_cast<size_t>(id)] = static_cast<uint32_t>(token.size());
    bytes += token;
  }
  const std::vector<uint32_t> others(ends.begin() + std::min<ptrdiff_t>(1, std::ssize(ends)), ends.end());
  const LlgTokenizerInitV2 init = {
      .struct_size = sizeof(LlgTokenizerInitV2),
      .vocab_size = static_cast<uint32_t>(ids),
      .tok_eos = ends.empty() ? UINT32_MAX : static_cast<uint32_t>(ends[0]),
      .token_lens = lengths.data(),
      .token_bytes = reinterpret_cast<const uint8_t*>(bytes.data()),
      .tokenize_fn = &Tokenise,
      .tokenize_user_data = tokenizer.get(),
      .tok_eos_extra = others.data(),
      .tok_eos_extra_count = static_cast<uint32_t>(others.size()),
  };
  std::array<char, 512> message = {};
  auto impl = std::make_unique<Impl>();
  impl->tokenizer = std::move(tokenizer);
  impl->handle.reset(llg_new_tokenizer_v2(&init, message.data(), message.size()));
  if (impl->handle == nullptr) {
    return Fail(ErrorCode::kInternal,
                "the vocabulary gives no tree for grammars: " + GrammarReason(message.data()));
  }
  return std::make_shared<const TokenTrie>(std::move(impl));
}

GrammarState::GrammarState(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
GrammarState::GrammarState(GrammarState&&) noexcept = default;
GrammarState& GrammarState::operator=(GrammarState&&) noexcept = default;
GrammarState::~GrammarState() = default;

Result<GrammarState> GrammarState::Compile(std::shared_ptr<const TokenTrie> trie, GrammarText kind,
                                           const std::string& text) {
  LlgConstraintInit init;
  llg_constraint_init_set_defaults(&init, trie->impl().handle.get());
  init.log_stderr_level = 0;
  init.limits.verbose_errors = false;
  init.limits.max_lexer_states = kMostLexerStates;
  auto impl = std::make_unique<Impl>();
  impl->trie = std::move(trie);
  const char* name = kind == GrammarText::kLark ? "lark" : "json_schema";
  impl->handle.reset(llg_new_matcher(&init, name, text.c_str()));
  if (const char* message = llg_matcher_get_error(impl->handle.get()); message != nullptr) {
    return Fail(ErrorCode::kInvalidArgument, GrammarReason(message));
  }
  return GrammarState(std::move(impl));
}

GrammarState GrammarState::Copy() const {
  auto impl = std::make_unique<Impl>();
  impl->trie = impl_->trie;
  impl->handle.reset(llg_clone_matcher(impl_->handle.get()));
  return GrammarState(std::move(impl));
}

Status GrammarState::Mask(std::span<uint32_t> words) {
  LlgMatcher* matcher = impl_->handle.get();
  if (llg_matcher_compute_mask_into(matcher, words.data(), words.size_bytes()) != 0) return Spent(matcher);
  return {};
}

Result<bool> GrammarState::Takes(int32_t id) {
  const uint32_t token = static_cast<uint32_t>(id);
  const int32_t taken = llg_matcher_validate_tokens(impl_->handle.get(), &token, 1);
  if (taken < 0) return Spent(impl_->handle.get());
  return taken == 1;
}

Status GrammarState::Advance(int32_t id) {
  LlgMatcher* matcher = impl_->handle.get();
  if (llg_matcher_consume_token(matcher, static_cast<uint32_t>(id)) != 0) return Spent(matcher);
  return {};
}

Status GrammarState::RollBack(int64_t tokens) {
  LlgMatcher* matcher = impl_->handle.get();
  if (llg_matcher_rollback(matcher, static_cast<size_t>(tokens)) != 0) return Spent(matcher);
  return {};
}

}  // namespace linnet
