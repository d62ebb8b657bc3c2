#include "cli/context_table.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "base/printable.h"
#include "base/utf8.h"

namespace linnet {
namespace {

constexpr size_t kShownBytes = 40;

struct Row {
  std::string name;
  TokenUse tokens;
  MediaCount media;
  std::string remark;
};

// "75 (1)": tokens, and how many media they are.
std::string Cell(int64_t tokens, int64_t media) {
  if (tokens == 0) return {};
  return media == 0 ? std::to_string(tokens) : fmt::format("{} ({})", tokens, media);
}

std::vector<Row> RowsOf(const ContextUse& use) {
  std::vector<Row> rows = {{"system", use.system, {}, {}}};
  if (use.tools.total() > 0) rows.push_back({"tools", use.tools, {}, {}});
  if (use.summary.total() > 0) rows.push_back({"summary", use.summary, {}, {}});
  for (size_t t = 0; t < use.turns.size(); ++t) {
    const TurnUse& turn = use.turns[t];
    const std::string calls = turn.calls == 0 ? "" : ", " + Counted(turn.calls, "call");
    rows.push_back({fmt::format("turn {}", t + 1), turn.tokens, turn.media, Quoted(turn.asked) + calls});
  }
  if (use.next.total() > 0) rows.push_back({"next message", use.next, {}, "so far"});
  TokenUse all;
  for (const Row& row : rows) {
    all.text += row.tokens.text;
    all.pictures += row.tokens.pictures;
    all.videos += row.tokens.videos;
    all.sounds += row.tokens.sounds;
  }
  rows.push_back({"all", all, {}, {}});
  return rows;
}

// "2 pictures and 1 sound"; empty where there are none.
std::string MediaText(const MediaCount& media) {
  std::vector<std::string> parts;
  if (media.pictures > 0) parts.push_back(Counted(media.pictures, "picture"));
  if (media.videos > 0) parts.push_back(Counted(media.videos, "video"));
  if (media.sounds > 0) parts.push_back(Counted(media.sounds, "sound"));
  std::string text;
  for (size_t i = 0; i < parts.size(); ++i) {
    text += (i == 0 ? "" : i + 1 == parts.size() ? " and " : ", ") + parts[i];
  }
  return text;
}

}  // namespace

std::string Counted(int64_t count, const std::string& thing) {
  return fmt::format("{} {}{}", count, thing, count == 1 ? "" : "s");
}

std::string Quoted(const std::string& text) {
  std::string line = text.substr(0, text.find('\n'));
  const bool cut = line.size() < text.size() || line.size() > kShownBytes;
  line.resize(std::min(line.size(), kShownBytes));
  line.resize(CompletePrefix(line));
  line.resize(line.find_last_not_of(' ') + 1);  // what a file's name left behind
  return fmt::format("\"{}{}\"", Printable(line), cut ? "…" : "");
}

std::string ContextTable(const ContextUse& use) {
  const std::vector<Row> rows = RowsOf(use);
  struct Column {
    const char* name;
    int64_t TokenUse::* tokens;
    int64_t MediaCount::* media;
  };
  std::vector<Column> columns = {{"text", &TokenUse::text, nullptr}};
  for (const Column& column : {Column{"pictures", &TokenUse::pictures, &MediaCount::pictures},
                               {"videos", &TokenUse::videos, &MediaCount::videos},
                               {"sounds", &TokenUse::sounds, &MediaCount::sounds}}) {
    if (rows.back().tokens.*column.tokens > 0) columns.push_back(column);
  }
  std::string table = fmt::format("{:<14}{:>8}", "", "tokens");
  for (const Column& column : columns) table += fmt::format("{:>12}", column.name);
  table += '\n';
  for (const Row& row : rows) {
    table += fmt::format("{:<14}{:>8}", row.name, row.tokens.total());
    for (const Column& column : columns) {
      const int64_t media = column.media == nullptr ? 0 : row.media.*column.media;
      table += fmt::format("{:>12}", Cell(row.tokens.*column.tokens, media));
    }
    table += (row.remark.empty() ? "" : "  " + row.remark) + "\n";
  }
  return table + fmt::format("{:<14}{:>8} of {}\n", "left", std::max<int64_t>(0, use.context - use.taken()),
                             use.context);
}

std::string ShiftText(const ContextShift& shift) {
  const std::string media = MediaText(shift.media);
  std::string text = "the context was full: ";
  text += shift.turns == 0   ? "the summary"
          : shift.turns == 1 ? "the oldest turn"
                             : fmt::format("the {} oldest turns", shift.turns);
  text += fmt::format(" {} ({}{}); {} stay{}, and {} {} free\n", shift.turns > 1 ? "go" : "goes",
                      Counted(shift.tokens, "token"), media.empty() ? "" : ", " + media,
                      Counted(shift.kept, "turn"), shift.kept == 1 ? "s" : "", Counted(shift.free, "token"),
                      shift.free == 1 ? "is" : "are");
  if (!shift.no_summary.empty()) text += fmt::format("without a summary: {}\n", shift.no_summary);
  if (shift.summary.empty()) return text;
  text += "a summary stays:\n";
  for (size_t at = 0; at < shift.summary.size();) {
    const size_t end = std::min(shift.summary.find('\n', at), shift.summary.size());
    text += "  " + Printable(shift.summary.substr(at, end - at)) + "\n";
    at = end + 1;
  }
  return text;
}

std::string ReusedText(const GenerateStats& stats) {
  const int64_t prompt = stats.reused_tokens + stats.prompt_tokens;
  return fmt::format("{} % of the prompt reused", prompt > 0 ? 100 * stats.reused_tokens / prompt : 0);
}

}  // namespace linnet
