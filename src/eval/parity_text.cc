// Tokenizers and chat rendering against reference data.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <zlib.h>
#include <nlohmann/json.hpp>

#include "eval/case_recorder.h"
#include "eval/parity.h"
#include "runtime/sha256.h"
#include "text/chat_format.h"
#include "text/tokenizer.h"
#include "text/tool_syntax.h"
#include "text/utf8.h"

namespace linnet {
namespace {

using OrderedJson = nlohmann::ordered_json;  // keys of tools and arguments keep their order
using Path = std::filesystem::path;
using IdList = std::vector<int32_t>;

constexpr size_t kMaxFile = size_t{1} << 30;
constexpr int64_t kMaxLine = 1 << 26;  // characters of a line made by rule

// A file's bytes, unpacked if it is a .gz.
Result<std::string> ReadFile(const Path& path) {
  const std::unique_ptr<gzFile_s, int (*)(gzFile)> file(gzopen(path.c_str(), "rb"), gzclose);
  if (file == nullptr) return Fail(ErrorCode::kNotFound, path.string() + ": cannot open");
  std::string bytes;
  std::vector<char> buffer(1 << 18);
  int count = 0;
  while ((count = gzread(file.get(), buffer.data(), static_cast<unsigned>(buffer.size()))) > 0) {
    bytes.append(buffer.data(), static_cast<size_t>(count));
    if (bytes.size() > kMaxFile) return Fail(ErrorCode::kBadFile, path.string() + ": is larger than 1 GiB");
  }
  if (count < 0) return Fail(ErrorCode::kBadFile, path.string() + ": is damaged");
  return bytes;
}

bool Exists(const Path& path) {
  std::error_code ignored;
  return std::filesystem::exists(path, ignored);
}

std::vector<Path> Sorted(const Path& directory) {
  std::error_code ignored;
  std::vector<Path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(directory, ignored))
    paths.push_back(entry.path());
  std::ranges::sort(paths);
  return paths;
}

Result<std::unique_ptr<Tokenizer>> LoadTokenizer(const Path& directory) {
  Path path = directory / "tokenizer.json";
  if (!Exists(path)) path += ".gz";
  LINNET_ASSIGN(const std::string bytes, ReadFile(path));
  auto tokenizer = TokenizerFromJson(bytes);
  if (!tokenizer) return Prefixed(path.string(), std::move(tokenizer).error());
  return tokenizer;
}

// Calls `row` with every JSON line; what it throws at missing or odd fields becomes an error with the line's
// number.
template <typename Row>
Status ForEachOrderedRow(const Path& path, const Row& row) {
  LINNET_ASSIGN(const std::string bytes, ReadFile(path));
  std::string_view rest = bytes;
  for (int number = 1; !rest.empty(); ++number) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    if (line.empty()) continue;
    try {
      row(OrderedJson::parse(line), number);
    } catch (const OrderedJson::exception& error) {
      return Fail(ErrorCode::kBadFile, fmt::format("{} line {}: {}", path.string(), number, error.what()),
                  "see docs/parity.md for the fields");
    }
  }
  return {};
}

std::string Shown(const std::string& text) {
  return OrderedJson(text).dump(-1, ' ', false, OrderedJson::error_handler_t::replace);
}

// Where two sequences part, for a person.
std::string FirstDifference(const IdList& found, const IdList& expected) {
  const auto [f, e] = std::ranges::mismatch(found, expected);
  return fmt::format("{} ids instead of {}, first different at {}: {} instead of {}", found.size(),
                     expected.size(), f - found.begin(), f == found.end() ? "nothing" : fmt::format("{}", *f),
                     e == expected.end() ? "nothing" : fmt::format("{}", *e));
}

std::string FirstDifference(const std::string& found, const std::string& expected) {
  constexpr size_t kBefore = 20, kShown = 80;
  const auto at = static_cast<size_t>(std::ranges::mismatch(found, expected).in1 - found.begin());
  const size_t begin = at > kBefore ? at - kBefore : 0;
  return fmt::format("at byte {}: {} instead of {}", at, Shown(found.substr(begin, kShown)),
                     Shown(expected.substr(begin, kShown)));
}

// Counts items and records only those that differ.
class Items {
 public:
  explicit Items(std::string name) : recorder_(std::move(name)) {}

  template <typename T>
  void Compare(const std::string& item, const T& found, const T& expected) {
    ++count_;
    if (found != expected) Differ(item, FirstDifference(found, expected));
  }
  void Differ(const std::string& item, std::string note) {
    ++differing_;
    recorder_.Exact(item, 1, std::move(note));
  }
  void Count() { ++count_; }
  CaseRecorder& recorder() { return recorder_; }

  CaseResult Finish(std::string_view what) {
    recorder_.Exact(fmt::format("{} {}", count_, what), differing_,
                    differing_ == 0 ? std::string() : fmt::format("{} of {} differ", differing_, count_));
    return recorder_.Finish();
  }

 private:
  CaseRecorder recorder_;
  int64_t count_ = 0, differing_ = 0;
};

void CompareDecoding(const Tokenizer& tokenizer, const IdList& ids, const std::string& item,
                     const std::pair<std::string, std::string>& expected, Items& items) {
  for (const bool skip : {false, true}) {
    const std::string what = item + (skip ? " decoded without special tokens" : " decoded");
    const std::string& text = skip ? expected.second : expected.first;
    items.Compare(what, tokenizer.Decode(ids, skip), text);
    StreamDecoder decoder(tokenizer, skip);
    std::string streamed;
    for (const int32_t id : ids) streamed += decoder.Push(id);
    streamed += decoder.Finish();
    items.Compare(what + " as a stream", streamed, text);
  }
}

Status RunStrings(const Path& path, const Tokenizer& tokenizer, Items& items) {
  return ForEachOrderedRow(path, [&](const OrderedJson& row, int number) {
    const std::string item = fmt::format("line {}", number);
    const auto text = row.at("text").get<std::string>();
    const auto ids = row.at("ids").get<IdList>();
    items.Compare(item, tokenizer.Encode(text), ids);
    const std::string decoded = row.value("decoded", text);
    CompareDecoding(tokenizer, ids, item, {decoded, row.value("decoded_skip_special", decoded)}, items);
  });
}

Status RunSequences(const Path& path, const Tokenizer& tokenizer, Items& items) {
  return ForEachOrderedRow(path, [&](const OrderedJson& row, int number) {
    const auto decoded = row.at("decoded").get<std::string>();
    CompareDecoding(tokenizer, row.at("ids").get<IdList>(), fmt::format("line {}", number),
                    {decoded, row.value("decoded_skip_special", decoded)}, items);
  });
}

std::string Repeated(std::string_view text, int64_t times) {
  std::string out;
  for (int64_t i = 0; i < times && out.size() < static_cast<size_t>(kMaxLine); ++i) out += text;
  return out;
}

size_t CodePoints(std::string_view text) {
  return static_cast<size_t>(std::ranges::count_if(text, [](char c) { return (c & 0xC0) != 0x80; }));
}

// Words in pseudo-random order, a space after each until they reach `count` characters; the last space is
// dropped and the rest cut to `count`.
std::string RandomWords(const std::vector<std::string>& words, int64_t count) {
  std::string text;
  int64_t characters = 0;
  for (uint64_t state = 1; characters < count && !words.empty();) {
    state = (state * 1103515245 + 12345) % (uint64_t{1} << 31);
    const std::string& word = words[(state >> 8) % words.size()];
    text += word + " ";
    characters += static_cast<int64_t>(CodePoints(word)) + 1;
  }
  if (!text.empty()) text.pop_back(), --characters;
  for (; characters > count; --characters) {
    while ((text.back() & 0xC0) == 0x80) text.pop_back();
    text.pop_back();
  }
  return text;
}

// The number that follows `name`.
int64_t NumberAfter(std::string_view rule, std::string_view name) {
  const size_t at = rule.find(name);
  if (at == rule.npos) return 0;
  return std::clamp<int64_t>(std::strtoll(std::string(rule.substr(at + name.size())).c_str(), nullptr, 10), 0,
                             kMaxLine);
}

// The line that a rule describes (docs/parity.md); empty if the rule is of another kind.
std::string MakeLine(std::string_view rule) {
  constexpr std::string_view kWords = "words = ", kCount = "; n = ", kTimes = " repeated ";
  if (const size_t words = rule.find(kWords); words != rule.npos) {
    const size_t begin = words + kWords.size();
    const std::string_view list = rule.substr(begin, rule.rfind(kCount) - begin);
    return RandomWords(OrderedJson::parse(list).get<std::vector<std::string>>(), NumberAfter(rule, kCount));
  }
  const size_t repeated = rule.rfind(kTimes);
  if (repeated == rule.npos) return {};
  const std::string_view what = rule.substr(0, repeated);
  const int64_t times = NumberAfter(rule.substr(repeated), kTimes);
  if (what == "space") return Repeated(" ", times);
  if (what == "newline") return Repeated("\n", times);
  return Repeated(OrderedJson::parse(what).get<std::string>(), times);
}

void RunLongLine(const OrderedJson& row, const Tokenizer& tokenizer, Items& items) {
  const auto name = row.at("name").get<std::string>();
  const std::string text = MakeLine(row.at("rule").get<std::string>());
  items.Count();
  const std::span<const char> bytes(text);
  if (text.empty() || Sha256Hex(bytes) != row.at("utf8_sha256").get<std::string>()) {
    return items.Differ(name, "the line that the rule describes could not be made");
  }
  const IdList ids = tokenizer.Encode(text);
  const auto ends = [&](const char* key, bool first) {
    const auto expected = row.at(key).get<IdList>();
    const size_t count = std::min(expected.size(), ids.size());
    const auto begin = first ? ids.begin() : ids.end() - static_cast<ptrdiff_t>(count);
    items.Compare(fmt::format("{} {}", name, key), IdList(begin, begin + static_cast<ptrdiff_t>(count)),
                  expected);
  };
  ends("first_ids", true);
  ends("last_ids", false);
  if (ids.size() != row.at("id_count").get<size_t>()) items.Differ(name, fmt::format("{} ids", ids.size()));
  if (Sha256Hex(std::span(ids)) != row.at("ids_uint32_le_sha256").get<std::string>()) {
    items.Differ(name, "another checksum of the ids");
  }
  items.Compare(name + " decoded", tokenizer.Decode(ids), text);
}

Status RunLongLines(const Path& path, const Tokenizer& tokenizer, Items& items) {
  LINNET_ASSIGN(const std::string bytes, ReadFile(path));
  try {
    for (const OrderedJson& row : OrderedJson::parse(bytes)) RunLongLine(row, tokenizer, items);
  } catch (const OrderedJson::exception& error) {
    return Fail(ErrorCode::kBadFile, path.string() + ": " + error.what(),
                "see docs/parity.md for the fields");
  }
  return {};
}

std::string OptionText(const OrderedJson& options, const char* name) {
  return options.value(name, std::string());
}

ChatOptions OptionsOf(const OrderedJson& row) {
  const OrderedJson options = row.value("options", OrderedJson::object());
  const std::string style = OptionText(options, "style");
  ChatOptions read{.generation = options.value("add_generation_prompt", false)
                                     ? ChatOptions::Generation::kReference
                                     : ChatOptions::Generation::kNone,
                   .enable_thinking = options.value("enable_thinking", false),
                   .preserve_thinking = options.value("preserve_thinking", false)};
  if (style == "gemma4-compact") read.style = ChatStyle::kGemma4Compact;
  if (style == "gemma3") read.style = ChatStyle::kGemma3;
  return read;
}

// The lenient reference text copies arguments given as JSON text into the call; Linnet writes the object they
// spell. This is the reference text with such calls in Linnet's form.
std::string WithParsedArguments(const OrderedJson& row) {
  std::string text = row.at("rendered_lenient").get<std::string>();
  for (const OrderedJson& message : row.at("messages")) {
    for (const OrderedJson& call : message.value("tool_calls", OrderedJson::array())) {
      const OrderedJson& function = call.at("function");
      if (!function.at("arguments").is_string()) continue;
      const std::string raw = function["arguments"].get<std::string>(),
                        name = function.at("name").get<std::string>();
      std::string_view inner = Strip(raw);
      if (inner.starts_with('{') && inner.ends_with('}')) inner = inner.substr(1, inner.size() - 2);
      const std::string copied = fmt::format("call:{}{{{}}}", name, inner);
      if (const size_t at = text.find(copied); at != text.npos) {
        text.replace(at, copied.size(), RenderToolCall(name, OrderedJson::parse(raw)).Spelled());
      }
    }
  }
  return text;
}

class ChatCase {
 public:
  ChatCase(Path root, std::string name) : root_(std::move(root)), items_(std::move(name)) {}

  Status Run(const Path& path) {
    Status loaded;
    LINNET_TRY(ForEachOrderedRow(path, [&](const OrderedJson& row, int number) {
      const Status status = Row(row, row.value("case", fmt::format("line {}", number)));
      if (!status && loaded) loaded = status;
    }));
    return loaded;
  }

  CaseResult Finish() {
    if (parsed_ > 0) {
      items_.recorder().Note(fmt::format(
          "deliberately different: {} conversations with arguments as JSON text are read, not refused",
          parsed_));
    }
    return items_.Finish("comparisons");
  }

 private:
  Status Row(const OrderedJson& row, const std::string& item) {
    const Result<RenderedChat> chat =
        RenderChat(row.at("messages"), row.value("tools", OrderedJson()), OptionsOf(row));
    if (!row.contains("rendered")) {
      items_.Count();
      if (!chat) return {};  // the reference refuses it too
      if (!row.contains("rendered_lenient")) {
        items_.Differ(item, "was rendered, but the reference refuses it");
      } else {
        ++parsed_;
        items_.Compare(item, chat->text.Spelled(), WithParsedArguments(row));
      }
      return {};
    }
    if (!chat) {
      items_.Differ(item, chat.error().Message());
      return {};
    }
    const std::string text = chat->text.Spelled();
    items_.Compare(item, text, row.at("rendered").get<std::string>());
    for (const auto& [key, ids] : row.items()) {
      if (!key.starts_with("ids_")) continue;
      LINNET_ASSIGN(const Tokenizer* tokenizer, Named(key.substr(4)));
      items_.Compare(item + " " + key, tokenizer->Encode(text), ids.get<IdList>());
      // What Linnet feeds: the same, unless a message spells a marker.
      const bool marked = std::ranges::any_of(chat->text.segments(), [&](const Segment& segment) {
        return segment.kind == Segment::Kind::kText &&
               tokenizer->Encode(segment.text) != tokenizer->EncodeOrdinary(segment.text);
      });
      if (marked) continue;
      items_.Compare(item + " " + key + " by segments", tokenizer->EncodeSegments(chat->text.segments()),
                     ids.get<IdList>());
    }
    return {};
  }

  // The tokenizer of the directory tokenizer/NAME.
  Result<const Tokenizer*> Named(const std::string& name) {
    std::unique_ptr<Tokenizer>& tokenizer = tokenizers_[name];
    if (tokenizer == nullptr) {
      LINNET_ASSIGN(tokenizer, LoadTokenizer(root_ / "tokenizer" / Path(name).filename()));
    }
    return tokenizer.get();
  }

  Path root_;
  Items items_;
  std::map<std::string, std::unique_ptr<Tokenizer>> tokenizers_;
  int parsed_ = 0;
};

}  // namespace

Status RunTokenizerCases(const Path& root, const ParityOptions& options, const CaseSink& sink) {
  using Runner = Status (*)(const Path&, const Tokenizer&, Items&);
  const std::tuple<const char*, const char*, Runner> kParts[] = {{"strings", ".jsonl", RunStrings},
                                                                 {"id_sequences", ".jsonl", RunSequences},
                                                                 {"long_lines", ".json", RunLongLines}};
  for (const Path& directory : Sorted(root / "tokenizer")) {
    std::unique_ptr<Tokenizer> tokenizer;
    for (const auto& [part, extension, run] : kParts) {
      const std::string name = fmt::format("tokenizer/{}/{}", directory.filename().string(), part);
      const Path path = directory / (std::string(part) + extension);
      if (!Wanted(options, name) || !Exists(path)) continue;
      if (tokenizer == nullptr) {
        LINNET_ASSIGN(tokenizer, LoadTokenizer(directory));
      }
      Items items(name);
      LINNET_TRY(run(path, *tokenizer, items));
      sink(items.Finish("comparisons"));
    }
  }
  return {};
}

Status RunChatCases(const Path& root, const ParityOptions& options, const CaseSink& sink) {
  for (const Path& path : Sorted(root / "chat")) {
    const std::string name = "chat/" + path.stem().string();
    if (path.extension() != ".jsonl" || !Wanted(options, name)) continue;
    ChatCase chat(root, name);
    LINNET_TRY(chat.Run(path));
    sink(chat.Finish());
  }
  return {};
}

}  // namespace linnet
