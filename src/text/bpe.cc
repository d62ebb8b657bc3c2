#include "text/bpe.h"

#include <algorithm>
#include <functional>
#include <string>
#include <utility>

#include "base/hex.h"
#include "text/utf8.h"

namespace linnet {
namespace {

constexpr uint32_t kNone = UINT32_MAX;
constexpr char32_t kBasicCodePoints = 0x10000;
constexpr int kPairBits = 20;  // 128 kB: stays in the second-level cache
// Positions and ranks share one 64-bit heap entry; a longer stretch without a cut is cut anyway (1 G
// characters).
constexpr size_t kMaxSymbols = size_t{1} << 30;

std::string ByteToken(int byte) {
  constexpr char kDigits[] = "0123456789ABCDEF";
  return std::string("<0x") + kDigits[byte >> 4] + kDigits[byte & 15] + ">";
}

}  // namespace

int ByteOfToken(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>') return -1;
  const int high = HexDigit(token[3]), low = HexDigit(token[4]);
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

// The symbols of the stretch at hand as a linked list over an array, and the merges waiting in a heap of
// rank << 32 | position. An entry is stale if the pair at its position has another rank by now.
struct Bpe::Work {
  struct Symbol {
    int32_t id;
    uint32_t prev, next;
    uint32_t rank = MergeTable::kNoRank;  // of the merge with the next symbol
    int32_t joined = -1;
  };
  std::vector<Symbol> symbols;
  std::vector<uint64_t> heap;
  char32_t last = 0;  // last character of the last symbol
  bool last_unknown = false;
  std::vector<int32_t>* ids = nullptr;
};

Bpe::Bpe(BpeParts parts)
    : tokens_(std::move(parts.tokens)),
      reserved_(std::move(parts.reserved)),
      basic_ids_(kBasicCodePoints, -1),
      may_join_((size_t{1} << kPairBits) / 64, 0),
      unknown_(parts.unknown),
      fuse_unknown_(parts.fuse_unknown),
      ignore_merges_(parts.ignore_merges) {
  std::erase_if(parts.merges, [&](const Merge& merge) { return Reserved(merge.joined); });
  merges_ = MergeTable(parts.merges);
  std::vector<bool> seen(static_cast<size_t>(tokens_.size()), false);
  for (const Merge& merge : parts.merges) {
    if (seen[static_cast<size_t>(merge.joined)]) continue;
    seen[static_cast<size_t>(merge.joined)] = true;
    AllowJoinsInside(tokens_.Text(merge.joined));
  }
  std::string text;
  for (char32_t c = 0; c < kBasicCodePoints; ++c) {
    if (c >= 0xD800 && c <= 0xDFFF) continue;
    text.clear();
    AppendCodePoint(c, text);
    const std::optional<int32_t> id = tokens_.Find(text);
    if (id && !Reserved(*id)) basic_ids_[c] = *id;
  }
  for (int byte = 0; byte < 256; ++byte) {
    byte_ids_[static_cast<size_t>(byte)] =
        parts.byte_fallback ? tokens_.Find(ByteToken(byte)).value_or(-1) : -1;
  }
}

uint32_t Bpe::PairBit(char32_t a, char32_t b) {
  return static_cast<uint32_t>((static_cast<uint64_t>(a) << 21 | b) * 0x9E3779B97F4A7C15u >>
                               (64 - kPairBits));
}

void Bpe::AllowJoinsInside(std::string_view token) {
  char32_t previous = 0;
  for (size_t i = 0; i < token.size();) {
    const CodePoint c = DecodeCodePoint(token, i);
    if (i > 0) {
      const uint32_t bit = PairBit(previous, c.value);
      may_join_[bit / 64] |= uint64_t{1} << (bit % 64);
    }
    previous = c.value;
    i += c.length;
  }
}

int32_t Bpe::IdOfCodePoint(char32_t value) const {
  if (value < kBasicCodePoints) return basic_ids_[value];
  std::string text;
  AppendCodePoint(value, text);
  const std::optional<int32_t> id = tokens_.Find(text);
  return id && !Reserved(*id) ? *id : -1;
}

void Bpe::Encode(std::string_view text, std::vector<int32_t>& ids) const {
  if (ignore_merges_) {
    const std::optional<int32_t> whole = tokens_.Find(ReplaceAll(text, " ", kSpaceMark));
    if (whole && !Reserved(*whole)) {
      ids.push_back(*whole);
      return;
    }
  }
  Work work;
  work.ids = &ids;
  for (size_t i = 0; i < text.size();) {
    const CodePoint c = DecodeCodePoint(text, i);
    std::string_view bytes = text.substr(i, c.length);
    i += c.length;
    char32_t value = c.value;
    if (c.valid && value == ' ') {
      value = kSpaceMarkCodePoint;
      bytes = kSpaceMark;
    }
    const int32_t id = c.valid ? IdOfCodePoint(value) : -1;
    if (id >= 0) {
      Add(id, value, value, work);
    } else if (!EncodeBytes(bytes, work) && unknown_ >= 0) {
      if (!(work.last_unknown && fuse_unknown_)) Add(unknown_, '<', '>', work);
      work.last_unknown = true;
    }
  }
  Flush(work);
}

// False if a byte has no token.
bool Bpe::EncodeBytes(std::string_view bytes, Work& work) const {
  const auto id_of = [&](char byte) { return byte_ids_[static_cast<uint8_t>(byte)]; };
  if (std::ranges::any_of(bytes, [&](char byte) { return id_of(byte) < 0; })) return false;
  for (const char byte : bytes) Add(id_of(byte), '<', '>', work);
  return true;
}

// `first` and `last` are the outer characters of the token's text: `<` and `>` for `<0xE2>`.
void Bpe::Add(int32_t id, char32_t first, char32_t last, Work& work) const {
  if (!work.symbols.empty() && (!MayJoin(work.last, first) || work.symbols.size() >= kMaxSymbols))
    Flush(work);
  work.symbols.push_back({.id = id, .prev = kNone, .next = kNone});
  work.last = last;
  work.last_unknown = false;
}

void Bpe::UpdatePair(Work& work, uint32_t at) const {
  Work::Symbol& symbol = work.symbols[at];
  symbol.rank = MergeTable::kNoRank;
  if (symbol.next == kNone) return;
  const MergeTable::Found found = merges_.Find(symbol.id, work.symbols[symbol.next].id);
  symbol.rank = found.rank;
  symbol.joined = found.joined;
  if (found.rank == MergeTable::kNoRank) return;
  work.heap.push_back(static_cast<uint64_t>(found.rank) << 32 | at);
}

void Bpe::Flush(Work& work) const {
  std::vector<Work::Symbol>& symbols = work.symbols;
  std::vector<uint64_t>& heap = work.heap;
  const auto count = static_cast<uint32_t>(symbols.size());
  for (uint32_t i = 0; i < count; ++i) {
    symbols[i].prev = i == 0 ? kNone : i - 1;
    symbols[i].next = i + 1 == count ? kNone : i + 1;
    UpdatePair(work, i);
  }
  std::ranges::make_heap(heap, std::greater{});
  const auto update = [&](uint32_t at) {
    const size_t before = heap.size();
    UpdatePair(work, at);
    if (heap.size() > before) std::ranges::push_heap(heap, std::greater{});
  };
  while (!heap.empty()) {
    std::ranges::pop_heap(heap, std::greater{});
    const auto at = static_cast<uint32_t>(heap.back());
    const auto rank = static_cast<uint32_t>(heap.back() >> 32);
    heap.pop_back();
    Work::Symbol& symbol = symbols[at];
    if (symbol.rank != rank) continue;
    Work::Symbol& gone = symbols[symbol.next];
    gone.rank = MergeTable::kNoRank;
    symbol.id = symbol.joined;
    symbol.next = gone.next;
    if (symbol.next != kNone) symbols[symbol.next].prev = at;
    update(at);
    if (symbol.prev != kNone) update(symbol.prev);
  }
  for (uint32_t at = count == 0 ? kNone : 0; at != kNone; at = symbols[at].next)
    work.ids->push_back(symbols[at].id);
  symbols.clear();
}

uint64_t Bpe::bytes() const {
  return tokens_.bytes() + merges_.bytes() + reserved_.capacity() / 8 +
         basic_ids_.capacity() * sizeof(int32_t) + may_join_.capacity() * sizeof(uint64_t);
}

}  // namespace linnet
