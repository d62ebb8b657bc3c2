// In the place of grammar_library.cc in a build without Rust.
#include <utility>

#include "runtime/grammar_library.h"

namespace linnet {

struct TokenTrie::Impl {};
struct GrammarState::Impl {};

namespace {
std::unexpected<Error> Without() {
  return Fail(
      ErrorCode::kUnsupported, "this build of Linnet has no structured output",
      "install rustc and cargo ('tools/setup.sh grammar' does on Debian 12 and Ubuntu 24.04), and build "
      "it again");
}
}  // namespace

bool HasGrammarLibrary() { return false; }

TokenTrie::TokenTrie(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TokenTrie::~TokenTrie() = default;
Result<std::shared_ptr<const TokenTrie>> TokenTrie::Make(std::shared_ptr<const Tokenizer>, int64_t,
                                                         std::span<const int32_t>) {
  return Without();
}
const Tokenizer& TokenTrie::tokenizer() const { std::unreachable(); }

GrammarState::GrammarState(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
GrammarState::GrammarState(GrammarState&&) noexcept = default;
GrammarState& GrammarState::operator=(GrammarState&&) noexcept = default;
GrammarState::~GrammarState() = default;
Result<GrammarState> GrammarState::Compile(std::shared_ptr<const TokenTrie>, GrammarText,
                                           const std::string&) {
  return Without();
}
GrammarState GrammarState::Copy() const { return GrammarState(nullptr); }
Status GrammarState::Mask(std::span<uint32_t>) { return Without(); }
Result<bool> GrammarState::Takes(int32_t) { return Without(); }
Status GrammarState::Advance(int32_t) { return Without(); }
Status GrammarState::RollBack(int64_t) { return Without(); }

}  // namespace linnet
