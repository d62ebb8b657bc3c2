// Reads a Hugging Face `tokenizer.json` with Gemma's pipeline. The vocabulary and the merges (hundreds of
// thousands of entries) are taken as they stream by; only the small rest becomes a document.
#include <algorithm>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "io/json.h"
#include "text/bpe_tokenizer.h"
#include "text/utf8.h"
#include "text/vocabulary.h"

namespace linnet {
namespace {

using nlohmann::json;

constexpr char kRepair[] = "the file is damaged or of another kind; download it again";
constexpr size_t kMaxFile = size_t{1} << 30;  // the 12B's file has 32 MB; texts are kept with 32-bit offsets
constexpr size_t kMaxDepth = 64;

struct VocabularyEntry {
  uint32_t offset = 0, length = 0;
  int32_t id = -1;
};
struct MergeEntry {
  uint32_t offset = 0, left = 0, right = 0;  // lengths of the two parts, which lie one after the other
};

// A token for an error message, not longer than a line.
std::string Quoted(std::string_view token) {
  constexpr size_t kShown = 40;
  if (token.size() <= kShown) return fmt::format("\"{}\"", token);
  return fmt::format("\"{}…\"", token.substr(0, CompletePrefix(token.substr(0, kShown))));
}

// Calls of the streaming parser. Returns false, with `error` set, to stop it.
class Reader final : public json::json_sax_t {
 public:
  json document;      // without model.vocab and model.merges
  std::string texts;  // token texts of both
  std::vector<VocabularyEntry> vocabulary;
  std::vector<MergeEntry> merges;
  bool has_vocabulary = false, has_merges = false;
  std::string error;

  bool null() override { return Scalar(nullptr); }
  bool boolean(bool value) override { return Scalar(value); }
  bool number_integer(number_integer_t value) override { return Scalar(value); }
  bool number_unsigned(number_unsigned_t value) override {
    if (place_ != Place::kVocabulary) return Scalar(value);
    if (value > static_cast<uint64_t>(std::numeric_limits<int32_t>::max())) {
      return Stop(fmt::format("model.vocab: token {} has id {}", Quoted(LastToken()), value));
    }
    vocabulary.back().id = static_cast<int32_t>(value);
    return true;
  }
  bool number_float(number_float_t value, const string_t&) override { return Scalar(value); }
  bool binary(binary_t&) override { return Stop("binary data"); }

  bool string(string_t& value) override {
    if (place_ != Place::kMerges && place_ != Place::kMergePair) return Scalar(std::move(value));
    if (place_ == Place::kMergePair) return MergePart(value);
    const size_t space = value.find(' ', 1);
    if (space == value.npos) {
      return Stop(
          fmt::format("model.merges: merge {} is not two tokens with a space between them", merges.size()));
    }
    merges.push_back({Keep(std::string_view(value).substr(0, space)), static_cast<uint32_t>(space),
                      static_cast<uint32_t>(value.size() - space - 1)});
    Keep(std::string_view(value).substr(space + 1));
    return true;
  }

  bool key(string_t& value) override {
    if (place_ == Place::kVocabulary) {
      vocabulary.push_back({Keep(value), static_cast<uint32_t>(value.size()), -1});
    } else {
      key_ = std::move(value);
    }
    return true;
  }

  bool start_object(size_t) override {
    if (InModel() && key_ == "vocab") {
      if (std::exchange(has_vocabulary, true)) return Stop("model.vocab is there twice");
      place_ = Place::kVocabulary;
      return true;
    }
    return Open(json::object());
  }
  bool end_object() override {
    if (place_ != Place::kVocabulary) return Close();
    place_ = Place::kDocument;
    return true;
  }
  bool start_array(size_t) override {
    if (place_ == Place::kMerges) {
      merges.push_back({.offset = static_cast<uint32_t>(texts.size())});
      parts_ = 0;
      place_ = Place::kMergePair;
      return true;
    }
    if (InModel() && key_ == "merges") {
      if (std::exchange(has_merges, true)) return Stop("model.merges is there twice");
      place_ = Place::kMerges;
      return true;
    }
    return Open(json::array());
  }
  bool end_array() override {
    if (place_ == Place::kMerges) {
      place_ = Place::kDocument;
      return true;
    }
    if (place_ != Place::kMergePair) return Close();
    if (parts_ != 2) return Stop(fmt::format("model.merges: merge {} is not two tokens", merges.size() - 1));
    place_ = Place::kMerges;
    return true;
  }

  bool parse_error(size_t position, const std::string&, const json::exception&) override {
    return Stop(fmt::format("not valid JSON at byte {}", position));
  }

 private:
  enum class Place { kDocument, kVocabulary, kMerges, kMergePair };

  bool InModel() const { return place_ == Place::kDocument && open_.size() == 2 && in_model_; }

  uint32_t Keep(std::string_view text) {
    const auto offset = static_cast<uint32_t>(texts.size());
    texts += text;
    return offset;
  }
  std::string LastToken() const {
    return vocabulary.empty() ? std::string()
                              : texts.substr(vocabulary.back().offset, vocabulary.back().length);
  }

  bool MergePart(const std::string& value) {
    if (parts_ < 2)
      (parts_ == 0 ? merges.back().left : merges.back().right) = static_cast<uint32_t>(value.size());
    ++parts_;
    Keep(value);
    return true;
  }

  bool Stop(std::string what) {
    if (error.empty()) error = std::move(what);
    return false;
  }

  // Where a value of the document goes; nullptr for the root.
  json* Put(json value) {
    if (open_.empty()) {
      document = std::move(value);
      return &document;
    }
    json& parent = *open_.back();
    if (parent.is_array()) {
      parent.push_back(std::move(value));
      return &parent.back();
    }
    return &(parent[key_] = std::move(value));
  }

  bool Scalar(json value) {
    switch (place_) {
      case Place::kDocument:
        Put(std::move(value));
        return true;
      case Place::kVocabulary:
        return Stop(
            fmt::format("model.vocab: the id of token {} is not a whole number from 0", Quoted(LastToken())));
      default:
        return Stop(fmt::format("model.merges: merge {} holds something that is not a token", merges.size()));
    }
  }

  bool Open(json value) {
    if (place_ == Place::kVocabulary) {
      return Stop(fmt::format("model.vocab: the id of token {} is not a number", Quoted(LastToken())));
    }
    if (place_ != Place::kDocument) return Stop("model.merges holds something that is not a token");
    if (open_.size() >= kMaxDepth) return Stop(fmt::format("nested more than {} deep", kMaxDepth));
    if (open_.size() == 1) in_model_ = key_ == "model";
    open_.push_back(Put(std::move(value)));
    return true;
  }
  bool Close() {
    open_.pop_back();
    return true;
  }

  Place place_ = Place::kDocument;
  std::vector<json*> open_;  // the containers around the current place
  std::string key_;          // of the value that comes next
  bool in_model_ = false;    // the second open container is `model`
  int parts_ = 0;            // of the merge at hand
};

std::unexpected<Error> Bad(std::string what) { return Fail(ErrorCode::kBadFile, std::move(what), kRepair); }

std::unexpected<Error> Unsupported(std::string field, const json& found) {
  std::string shown = found.dump(-1, ' ', false, json::error_handler_t::replace);
  if (shown.size() > 100)
    shown = shown.substr(0, CompletePrefix(std::string_view(shown).substr(0, 100))) + "…";
  return Fail(ErrorCode::kUnsupported, fmt::format("{} is {}, not that of Gemma", field, shown),
              "use the tokenizer.json of a Gemma model");
}

Result<bool> Flag(const json& object, const char* name, const std::string& where, bool otherwise) {
  const json& value = JsonMember(object, name);
  if (value.is_null()) return otherwise;
  if (!value.is_boolean()) return Bad(fmt::format("{}.{} is not true or false", where, name));
  return value.get<bool>();
}

bool Is(const json& value, std::string_view text) {
  return value.is_string() && value.get_ref<const std::string&>() == text;
}

bool Replaces(const json& step, std::string_view from, std::string_view to) {
  return Is(JsonMember(step, "type"), "Replace") &&
         Is(JsonMember(JsonMember(step, "pattern"), "String"), from) && Is(JsonMember(step, "content"), to);
}

// A sequence of one step is that step.
const json& Only(const json& step, const char* list) {
  const json& steps = JsonMember(step, list);
  return Is(JsonMember(step, "type"), "Sequence") && steps.is_array() && steps.size() == 1 ? steps[0] : step;
}

Status CheckPipeline(const json& document) {
  const json& normalizer = Only(JsonMember(document, "normalizer"), "normalizers");
  if (!Replaces(normalizer, " ", kSpaceMark)) return Unsupported("normalizer", normalizer);
  // Splitting at spaces does nothing: the normaliser has left none.
  const json& split = Only(JsonMember(document, "pre_tokenizer"), "pretokenizers");
  const bool splits_at_spaces = Is(JsonMember(split, "type"), "Split") &&
                                JsonMember(split, "invert") != json(true) &&
                                Is(JsonMember(JsonMember(split, "pattern"), "String"), " ");
  if (!split.is_null() && !splits_at_spaces) return Unsupported("pre_tokenizer", split);
  const json& decoder = JsonMember(document, "decoder");
  const json& steps = JsonMember(decoder, "decoders");
  const bool known = Is(JsonMember(decoder, "type"), "Sequence") && steps.is_array() && steps.size() == 3 &&
                     Replaces(steps[0], kSpaceMark, " ") &&
                     Is(JsonMember(steps[1], "type"), "ByteFallback") &&
                     Is(JsonMember(steps[2], "type"), "Fuse");
  if (!known) return Unsupported("decoder", decoder);
  return {};
}

Status ReadModel(const json& model, BpeParts& bpe) {
  if (!model.is_object()) return Bad("model is missing");
  const json& type = JsonMember(model, "type");
  if (!type.is_null() && !Is(type, "BPE")) return Unsupported("model.type", type);
  if (const json& dropout = JsonMember(model, "dropout"); !dropout.is_null() && dropout != json(0.0)) {
    return Unsupported("model.dropout", dropout);
  }
  for (const char* name : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    const json& value = JsonMember(model, name);
    if (!value.is_null() && !Is(value, "")) return Unsupported(fmt::format("model.{}", name), value);
  }
  LINNET_ASSIGN(bpe.byte_fallback, Flag(model, "byte_fallback", "model", false));
  LINNET_ASSIGN(bpe.fuse_unknown, Flag(model, "fuse_unk", "model", false));
  LINNET_ASSIGN(bpe.ignore_merges, Flag(model, "ignore_merges", "model", false));
  return {};
}

Status ReadUnknown(const json& model, BpeParts& bpe) {
  const json& unknown = JsonMember(model, "unk_token");
  if (unknown.is_null()) return {};
  if (!unknown.is_string()) return Bad("model.unk_token is not a string");
  const std::optional<int32_t> id = bpe.tokens.Find(unknown.get_ref<const std::string&>());
  if (!id)
    return Bad(fmt::format("model.unk_token {} is not in model.vocab",
                           Quoted(unknown.get_ref<const std::string&>())));
  bpe.unknown = *id;
  return {};
}

Status ReadVocabulary(const Reader& reader, BpeParts& bpe) {
  if (!reader.has_vocabulary || reader.vocabulary.empty())
    return Bad("model.vocab is missing, empty or not a map");
  // Gaps are possible, but a table must not grow far beyond what the file holds.
  const size_t limit = 2 * reader.vocabulary.size() + 1024;
  bpe.tokens.Reserve(reader.vocabulary.size(), reader.texts.size());
  for (const VocabularyEntry& entry : reader.vocabulary) {
    const std::string_view text = std::string_view(reader.texts).substr(entry.offset, entry.length);
    if (static_cast<size_t>(entry.id) >= limit) {
      return Bad(fmt::format("model.vocab: token {} has id {} in a vocabulary of {}", Quoted(text), entry.id,
                             reader.vocabulary.size()));
    }
    if (bpe.tokens.Has(entry.id)) {
      return Bad(fmt::format("model.vocab: id {} is given to {} and to {}", entry.id,
                             Quoted(bpe.tokens.Text(entry.id)), Quoted(text)));
    }
    if (bpe.tokens.Find(text)) return Bad(fmt::format("model.vocab: token {} is there twice", Quoted(text)));
    bpe.tokens.Set(entry.id, text);
  }
  return {};
}

Status ReadMerges(const Reader& reader, BpeParts& bpe) {
  if (!reader.has_merges) return Bad("model.merges is missing or not a list");
  bpe.merges.reserve(reader.merges.size());
  const std::string_view texts = reader.texts;
  for (size_t rank = 0; rank < reader.merges.size(); ++rank) {
    const MergeEntry& entry = reader.merges[rank];
    const auto left = bpe.tokens.Find(texts.substr(entry.offset, entry.left));
    const auto right = bpe.tokens.Find(texts.substr(entry.offset + entry.left, entry.right));
    const auto joined = bpe.tokens.Find(texts.substr(entry.offset, entry.left + entry.right));
    if (!left || !right || !joined) {
      return Bad(fmt::format(
          "model.merges: merge {} ({}, {}) {}", rank, Quoted(texts.substr(entry.offset, entry.left)),
          Quoted(texts.substr(entry.offset + entry.left, entry.right)),
          left && right ? "gives a text that is not a token" : "has a part that is not a token"));
    }
    bpe.merges.push_back({*left, *right, *joined, static_cast<uint32_t>(rank)});
  }
  return {};
}

Result<AddedToken> ReadAddedToken(const json& entry, const std::string& where) {
  const json& id = JsonMember(entry, "id");
  const json& content = JsonMember(entry, "content");
  if (!id.is_number_unsigned() ||
      id.get<uint64_t>() > static_cast<uint64_t>(std::numeric_limits<int32_t>::max())) {
    return Bad(where + ".id is missing or not a whole number from 0");
  }
  if (!content.is_string()) return Bad(where + ".content is missing or not a string");
  AddedToken token{.id = id.get<int32_t>(), .content = content.get<std::string>()};
  LINNET_ASSIGN(token.special, Flag(entry, "special", where, false));
  LINNET_ASSIGN(token.normalized, Flag(entry, "normalized", where, !token.special));
  LINNET_ASSIGN(token.strip_left, Flag(entry, "lstrip", where, false));
  LINNET_ASSIGN(token.strip_right, Flag(entry, "rstrip", where, false));
  LINNET_ASSIGN(const bool single_word, Flag(entry, "single_word", where, false));
  if (single_word) {
    return Fail(ErrorCode::kUnsupported,
                fmt::format("{} ({}) asks for single_word", where, Quoted(token.content)),
                "set single_word to false: Gemma's added tokens do not use it");
  }
  return token;
}

Status ReadAdded(const json& document, TokenizerParts& parts) {
  const json& list = JsonMember(document, "added_tokens");
  if (list.is_null()) return {};
  if (!list.is_array()) return Bad("added_tokens is not a list");
  TokenTable& tokens = parts.bpe.tokens;
  const size_t limit = 2 * (static_cast<size_t>(tokens.size()) + list.size()) + 1024;
  for (size_t i = 0; i < list.size(); ++i) {
    const std::string where = fmt::format("added_tokens[{}]", i);
    LINNET_ASSIGN(AddedToken token, ReadAddedToken(list[i], where));
    const std::optional<int32_t> known = tokens.Find(token.content);
    if (known ? *known != token.id : tokens.Has(token.id)) {
      return Bad(fmt::format("{}: {} has id {}, but the vocabulary says otherwise", where,
                             Quoted(token.content), token.id));
    }
    if (static_cast<size_t>(token.id) >= limit) {
      return Bad(fmt::format("{}.id is {} in a vocabulary of {}", where, token.id, tokens.size()));
    }
    if (!known) tokens.Set(token.id, token.content);
    parts.added.push_back(std::move(token));
  }
  return {};
}

Result<TokenizerParts> ReadParts(std::string_view text) {
  if (text.size() > kMaxFile)
    return Bad(fmt::format("has {} bytes, at most {} are allowed", text.size(), kMaxFile));
  if (const std::string_view encoding = OtherEncoding(text); !encoding.empty()) {
    return Fail(ErrorCode::kBadFile, fmt::format("is a text in {}, and JSON is UTF-8", encoding),
                "save it as UTF-8");
  }
  Reader reader;
  if (!json::sax_parse(text.begin(), text.end(), &reader)) return Bad(reader.error);
  TokenizerParts parts;
  LINNET_TRY(CheckPipeline(reader.document));
  const json& model = JsonMember(reader.document, "model");
  LINNET_TRY(ReadModel(model, parts.bpe));
  LINNET_TRY(ReadVocabulary(reader, parts.bpe));
  LINNET_TRY(ReadMerges(reader, parts.bpe));
  LINNET_TRY(ReadUnknown(model, parts.bpe));
  LINNET_TRY(ReadAdded(reader.document, parts));
  return parts;
}

// Control tokens are left out of visible text; these seven are what a parser of the output must see.
bool IsVisibleMark(std::string_view token) {
  constexpr std::string_view kVisible[] = {"<|channel>",   "<channel|>",       "<|tool_call>",
                                           "<tool_call|>", "<|tool_response>", "<tool_response|>",
                                           "<|\"|>"};
  return std::find(std::begin(kVisible), std::end(kVisible), token) != std::end(kVisible);
}

}  // namespace

Result<std::unique_ptr<Tokenizer>> TokenizerFromJson(std::string_view text) {
  LINNET_ASSIGN(TokenizerParts parts, ReadParts(text));
  return MakeTokenizer(std::move(parts));
}

Result<Vocabulary> VocabularyFromJson(std::string_view text) {
  LINNET_ASSIGN(const TokenizerParts parts, ReadParts(text));
  const TokenTable& tokens = parts.bpe.tokens;
  Vocabulary vocabulary;
  vocabulary.model = "gemma4";
  vocabulary.unknown_id = parts.bpe.unknown;
  for (int32_t id = 0; id < tokens.size(); ++id) {
    const std::string_view token = tokens.Text(id);
    const bool byte = token.size() == 6 && token.starts_with("<0x") && token.ends_with(">");
    vocabulary.tokens.emplace_back(token);
    vocabulary.scores.push_back(-static_cast<float>(id));
    vocabulary.types.push_back(static_cast<int32_t>(byte ? VocabularyType::kByte : VocabularyType::kNormal));
  }
  for (const AddedToken& token : parts.added) {
    const bool control = token.special && !IsVisibleMark(token.content);
    vocabulary.types[static_cast<size_t>(token.id)] =
        static_cast<int32_t>(control ? VocabularyType::kControl : VocabularyType::kUserDefined);
  }
  if (parts.bpe.unknown >= 0) {
    vocabulary.types[static_cast<size_t>(parts.bpe.unknown)] = static_cast<int32_t>(VocabularyType::kUnknown);
  }
  for (const Merge& merge : parts.bpe.merges) {
    vocabulary.merges.push_back(fmt::format("{} {}", tokens.Text(merge.left), tokens.Text(merge.right)));
  }
  return vocabulary;
}

}  // namespace linnet
