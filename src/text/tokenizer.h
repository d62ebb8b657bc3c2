// Gemma's tokenizer: added tokens cut out first, then spaces become ▁ and BPE with byte fallback runs over
// the rest. Immutable after construction and thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "linnet/error.h"
#include "text/marked_text.h"

namespace linnet {

struct Vocabulary;

class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  // Ids of a text; special-token strings in it become those tokens. Adds no bos. Invalid UTF-8 is tokenised
  // by bytes.
  virtual std::vector<int32_t> Encode(std::string_view text) const = 0;
  // Ids of untrusted text: special-token strings are ordinary characters.
  virtual std::vector<int32_t> EncodeOrdinary(std::string_view text) const = 0;
  // Ids of a prompt in its parts: markers and places are their tokens (where the vocabulary has them), all
  // else is ordinary.
  virtual std::vector<int32_t> EncodeSegments(std::span<const Segment> segments) const = 0;
  // A trusted text cut at the special tokens that it spells: EncodeSegments() of it is Encode().
  virtual MarkedText ReadMarkers(std::string_view text) const = 0;
  // The whole text of a sequence; a byte run that is not valid UTF-8 gives U+FFFD per byte.
  virtual std::string Decode(const std::vector<int32_t>& ids, bool skip_special = false) const = 0;

  virtual int32_t vocab_size() const = 0;
  virtual std::optional<int32_t> TokenId(std::string_view token) const = 0;
  // The token as the vocabulary spells it, with ▁ for a space; empty for an id out of range.
  virtual std::string_view TokenText(int32_t id) const = 0;
  virtual bool IsSpecial(int32_t id) const = 0;  // an added token that skip_special removes
  virtual uint64_t bytes() const = 0;            // of the tables of the vocabulary, which are nearly all
};

// Reads the bytes of a `tokenizer.json` with Gemma's pipeline (byte-fallback BPE, spaces to ▁, no prefix).
// Added tokens with `single_word` and any other pipeline are refused by name. Errors: kBadFile, kUnsupported.
Result<std::unique_ptr<Tokenizer>> TokenizerFromJson(std::string_view json);
// The same file as GGUF metadata would hold it, for the converter.
Result<Vocabulary> VocabularyFromJson(std::string_view json);
// From GGUF metadata, with merges (Gemma 4) or with scores (Gemma 3). Runs of spaces may be stored as spaces
// or as ▁; of two equal strings the later id counts. Gemma's special tokens are special whatever their stored
// type.
Result<std::unique_ptr<Tokenizer>> TokenizerFromVocabulary(const Vocabulary& vocabulary);

// Emits text as tokens arrive, in sum exactly Decode() of them, and never a broken UTF-8 sequence. A run of
// byte tokens waits until another token ends it: only then is it known whether the whole run is valid, which
// decides its text.
class StreamDecoder {
 public:
  explicit StreamDecoder(const Tokenizer& tokenizer, bool skip_special = false)
      : tokenizer_(tokenizer), skip_special_(skip_special) {}
  // The text that has become certain with this token; may be empty.
  std::string Push(int32_t id);
  // What is left at the end.
  std::string Finish();

 private:
  const Tokenizer& tokenizer_;
  bool skip_special_;
  std::string pending_;  // the bytes of an open run of byte tokens
};

}  // namespace linnet
