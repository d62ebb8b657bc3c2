// llguidance behind the few things that Linnet needs of it. grammar_library.cc alone knows it, and catches
// what it throws; without Rust grammar_stub.cc stands in its place.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "linnet/error.h"
#include "text/tokenizer.h"

namespace linnet {

// Whether this build of Linnet has it.
bool HasGrammarLibrary();

// A vocabulary as a tree of bytes, shared by all grammars of a model. Immutable and thread-safe.
class TokenTrie {
 public:
  struct Impl;
  explicit TokenTrie(std::unique_ptr<Impl> impl);
  ~TokenTrie();

  // `ids`: how many the logits have, which may be more or fewer than the tokenizer's; `ends`: the ids that
  // end an answer. Errors: kUnsupported without the library; kOutOfMemory, kInternal.
  static Result<std::shared_ptr<const TokenTrie>> Make(std::shared_ptr<const Tokenizer> tokenizer,
                                                       int64_t ids, std::span<const int32_t> ends);
  const Impl& impl() const { return *impl_; }
  const Tokenizer& tokenizer() const;

 private:
  std::unique_ptr<Impl> impl_;
};

// How the text of a grammar is to be read.
enum class GrammarText { kJsonSchema, kLark };

// Where an answer stands in a grammar. Copies are independent of each other, so each may have a thread of its
// own.
class GrammarState {
 public:
  struct Impl;
  explicit GrammarState(std::unique_ptr<Impl> impl);
  GrammarState(GrammarState&&) noexcept;
  GrammarState& operator=(GrammarState&&) noexcept;
  ~GrammarState();

  // At the beginning of a grammar. Errors: kInvalidArgument with the library's reason.
  static Result<GrammarState> Compile(std::shared_ptr<const TokenTrie> trie, GrammarText kind,
                                      const std::string& text);
  GrammarState Copy() const;

  // The ids that may follow, those that end the answer among them where it may end here. Errors:
  // kInvalidArgument, the grammar has become too complicated for its limits.
  Status Mask(std::span<uint32_t> words);
  // Whether the grammar takes the token here. An end is taken where the answer may end.
  Result<bool> Takes(int32_t id);
  // REQUIRES: the grammar takes it.
  Status Advance(int32_t id);
  Status RollBack(int64_t tokens);

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace linnet
