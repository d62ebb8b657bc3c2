#include "text/bpe_tokenizer.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "text/utf8.h"

namespace linnet {
namespace {

constexpr std::array<std::string_view, 24> kGemmaSpecialTokens = {
    "<pad>",
    "<eos>",
    "<bos>",
    "<unk>",
    "<mask>",
    "<|tool>",
    "<tool|>",
    "<|tool_call>",
    "<tool_call|>",
    "<|tool_response>",
    "<tool_response|>",
    "<|\"|>",
    "<|think|>",
    "<|channel>",
    "<channel|>",
    "<|turn>",
    "<turn|>",
    "<|image>",
    "<|audio>",
    "<|image|>",
    "<|audio|>",
    "<image|>",
    "<audio|>",
    "<|video|>",
};

size_t WhiteSpaceAfter(std::string_view text, size_t at) {
  while (at < text.size()) {
    const CodePoint c = DecodeCodePoint(text, at);
    if (!c.valid || !IsWhiteSpace(c.value)) break;
    at += c.length;
  }
  return at;
}

// Where the white space before `end` begins, not before `start`.
size_t WhiteSpaceBefore(std::string_view text, size_t start, size_t end) {
  size_t begin = end;
  for (size_t at = start; at < end;) {
    const CodePoint c = DecodeCodePoint(text, at);
    const bool space = c.valid && IsWhiteSpace(c.value);
    if (space && begin == end) begin = at;
    if (!space) begin = end;
    at += c.length;
  }
  return begin;
}

class BpeTokenizer final : public Tokenizer {
 public:
  BpeTokenizer(BpeParts bpe, std::vector<AddedToken> raw, std::vector<AddedToken> normalized,
               std::vector<bool> special)
      : bpe_(std::move(bpe)),
        raw_(std::move(raw)),
        normalized_(std::move(normalized)),
        special_(std::move(special)) {}

  std::vector<int32_t> Encode(std::string_view text) const override { return EncodeText(text, true); }
  std::vector<int32_t> EncodeOrdinary(std::string_view text) const override {
    return EncodeText(text, false);
  }

  std::vector<int32_t> EncodeSegments(std::span<const Segment> segments) const override {
    std::vector<int32_t> ids;
    std::string ordinary;  // the open run: tokens reach across the borders of segments
    bool strip_next = false;
    const auto flush = [&] {
      const std::vector<int32_t> run = EncodeOrdinary(ordinary);
      ids.insert(ids.end(), run.begin(), run.end());
      ordinary.clear();
    };
    for (const Segment& segment : segments) {
      const std::string_view spelling =
          segment.kind == Segment::Kind::kMarker ? segment.text : PlaceSpelling(segment.kind);
      const AddedToken* marker = spelling.empty() ? nullptr : Marker(spelling);
      if (marker == nullptr && segment.kind != Segment::Kind::kTokens) {
        const std::string_view text = spelling.empty() ? std::string_view(segment.text) : spelling;
        ordinary += text.substr(strip_next ? WhiteSpaceAfter(text, 0) : 0);
        strip_next = strip_next && ordinary.empty();
        continue;
      }
      if (marker != nullptr && marker->strip_left) {
        ordinary.resize(WhiteSpaceBefore(ordinary, 0, ordinary.size()));
      }
      flush();
      ids.insert(ids.end(), segment.ids.begin(), segment.ids.end());
      if (marker != nullptr) ids.push_back(marker->id);
      strip_next = marker != nullptr && marker->strip_right;
    }
    flush();
    return ids;
  }

  MarkedText ReadMarkers(std::string_view text) const override {
    MarkedText marked;
    size_t start = 0;
    for (size_t from = 0;;) {
      const AddedTokenMatcher::Match match = raw_.Next(text, from);
      if (match.token == nullptr) break;
      from = match.end;
      if (!match.token->trusted_only) continue;
      marked.Text(text.substr(start, match.begin - start)).Marker(match.token->content);
      start = match.end;
    }
    marked.Text(text.substr(start));
    return marked;
  }

  std::string Decode(const std::vector<int32_t>& ids, bool skip_special) const override {
    StreamDecoder decoder(*this, skip_special);
    std::string text;
    for (const int32_t id : ids) text += decoder.Push(id);
    text += decoder.Finish();
    return text;
  }

  int32_t vocab_size() const override { return bpe_.tokens().size(); }
  std::optional<int32_t> TokenId(std::string_view token) const override {
    if (const std::optional<int32_t> id = bpe_.tokens().Find(token)) return id;
    return bpe_.tokens().Find(ReplaceAll(token, " ", kSpaceMark));
  }
  std::string_view TokenText(int32_t id) const override { return bpe_.tokens().Text(id); }
  bool IsSpecial(int32_t id) const override {
    return id >= 0 && static_cast<size_t>(id) < special_.size() && special_[static_cast<size_t>(id)];
  }
  uint64_t bytes() const override { return bpe_.bytes(); }

 private:
  // The special token of this name, or nullptr.
  const AddedToken* Marker(std::string_view name) const {
    const AddedTokenMatcher::Match match = raw_.Next(name, 0);
    const bool whole = match.token != nullptr && match.begin == 0 && match.end == name.size();
    return whole && match.token->trusted_only ? match.token : nullptr;
  }

  std::vector<int32_t> EncodeText(std::string_view text, bool specials) const {
    std::vector<int32_t> ids;
    const auto bpe = [&](std::string_view piece) { bpe_.Encode(piece, ids); };
    const auto normalize = [&](std::string_view piece) {
      Cut(normalized_, ReplaceAll(piece, " ", kSpaceMark), specials, ids, bpe);
    };
    if (normalized_.empty()) {
      Cut(raw_, text, specials, ids, bpe);  // bpe reads a space as ▁ by itself
    } else {
      Cut(raw_, text, specials, ids, normalize);
    }
    return ids;
  }

  // Appends the ids of the added tokens in `text` and gives what lies between them to `ordinary`, in order.
  template <typename Ordinary>
  static void Cut(const AddedTokenMatcher& matcher, std::string_view text, bool specials,
                  std::vector<int32_t>& ids, const Ordinary& ordinary) {
    size_t start = 0;  // of what is not yet encoded
    for (size_t from = 0;;) {
      const AddedTokenMatcher::Match match = matcher.Next(text, from, specials);
      if (match.token == nullptr) break;
      const size_t begin = match.token->strip_left ? WhiteSpaceBefore(text, start, match.begin) : match.begin;
      if (begin > start) ordinary(text.substr(start, begin - start));
      ids.push_back(match.token->id);
      start = from = match.token->strip_right ? WhiteSpaceAfter(text, match.end) : match.end;
    }
    if (start < text.size()) ordinary(text.substr(start));
  }

  Bpe bpe_;
  AddedTokenMatcher raw_;         // found before spaces become ▁
  AddedTokenMatcher normalized_;  // found after
  std::vector<bool> special_;     // by id
};

Status CheckAdded(const AddedToken& token) {
  if (token.content.empty()) {
    return Fail(ErrorCode::kBadFile, fmt::format("added token {} is empty", token.id),
                "use an undamaged file");
  }
  if (token.content.size() > AddedTokenMatcher::kMaxLength) {
    return Fail(ErrorCode::kBadFile,
                fmt::format("added token {} has {} bytes, at most {} are allowed", token.id,
                            token.content.size(), AddedTokenMatcher::kMaxLength),
                "use an undamaged file");
  }
  if (!IsValidUtf8(token.content)) {
    return Fail(ErrorCode::kBadFile, fmt::format("added token {} is not UTF-8", token.id),
                "use an undamaged file");
  }
  return {};
}

// Without any of this, text would vanish silently.
Status CheckFallback(const BpeParts& bpe) {
  if (bpe.unknown >= 0) return {};
  for (int byte = 0; byte < 256; ++byte) {
    if (bpe.byte_fallback && bpe.tokens.Find(fmt::format("<0x{:02X}>", byte))) continue;
    return Fail(
        ErrorCode::kBadFile,
        fmt::format("the vocabulary has neither an unknown token nor the byte token <0x{:02X}>", byte),
        "text could not be encoded with it; use a complete tokenizer");
  }
  return {};
}

}  // namespace

bool IsGemmaSpecialToken(std::string_view token) {
  return std::ranges::find(kGemmaSpecialTokens, token) != kGemmaSpecialTokens.end();
}

Result<std::unique_ptr<Tokenizer>> MakeTokenizer(TokenizerParts parts) {
  LINNET_TRY(CheckFallback(parts.bpe));
  for (const std::string_view name : kGemmaSpecialTokens) {
    const std::optional<int32_t> id = parts.bpe.tokens.Find(name);
    if (!id) continue;
    if (std::ranges::find(parts.added, *id, &AddedToken::id) != parts.added.end()) continue;
    parts.added.push_back({.id = *id, .content = std::string(name), .special = true});
  }
  std::vector<bool> special(static_cast<size_t>(parts.bpe.tokens.size()), false);
  parts.bpe.reserved = special;
  std::vector<AddedToken> raw, normalized;
  for (AddedToken& token : parts.added) {
    LINNET_TRY(CheckAdded(token));
    token.trusted_only = token.special || IsGemmaSpecialToken(token.content);
    if (token.special) special[static_cast<size_t>(token.id)] = true;
    if (token.trusted_only) parts.bpe.reserved[static_cast<size_t>(token.id)] = true;
    if (token.normalized) token.content = ReplaceAll(token.content, " ", kSpaceMark);
    (token.normalized ? normalized : raw).push_back(std::move(token));
  }
  return std::make_unique<BpeTokenizer>(std::move(parts.bpe), std::move(raw), std::move(normalized),
                                        std::move(special));
}

}  // namespace linnet
