#include "cli/line_editor.h"

#include <histedit.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <utility>

#include "base/terminal.h"
#include "cli/report.h"
#include "cli/terminal_keys.h"

namespace linnet {
namespace {

constexpr int kHistoryLines = 1000;
constexpr wchar_t kEscapeKey = 0x1b;
constexpr wchar_t kBegunCode = 0x8b;  // as if a key had been pressed that writes what a line begins with

// Keys that are no characters reach libedit as control characters that nobody types (0x80 to 0x9f), which are
// bound to its commands, or to ours below.
struct Binding {
  Key key;
  wchar_t code;
  const char* octal;
  const char* command;
};
constexpr Binding kBindings[] = {
    {Key::kNewLine, 0x80, "\\200", "linnet-new-line"},    {Key::kPaste, 0x81, "\\201", "linnet-paste"},
    {Key::kHome, 0x82, "\\202", "ed-move-to-beg"},        {Key::kEnd, 0x83, "\\203", "ed-move-to-end"},
    {Key::kLeft, 0x84, "\\204", "ed-prev-char"},          {Key::kRight, 0x85, "\\205", "ed-next-char"},
    {Key::kUp, 0x86, "\\206", "ed-prev-history"},         {Key::kDown, 0x87, "\\207", "ed-next-history"},
    {Key::kWordLeft, 0x88, "\\210", "ed-prev-word"},      {Key::kWordRight, 0x89, "\\211", "em-next-word"},
    {Key::kDelete, 0x8a, "\\212", "ed-delete-next-char"},
};

wchar_t CodeOf(Key key) {
  for (const Binding& binding : kBindings) {
    if (binding.key == key) return binding.code;
  }
  return 0;
}

}  // namespace

struct LineEditor::Impl {
  TerminalGuard guard;
  TerminalKeys keys;
  std::optional<wchar_t> waiting;  // the character of a key with Alt, after its escape
  std::vector<std::string> commands;
  std::string prompt;
  std::string begun;  // to be put into the line before the first key
  std::string history_file;
  History* history = nullptr;
  EditLine* editor = nullptr;
  bool dropped = false;  // the line was ended by Ctrl-C

  static Impl* Of(EditLine* editor) {
    void* self = nullptr;
    el_get(editor, EL_CLIENTDATA, &self);
    return static_cast<Impl*>(self);
  }
  static char* Prompt(EditLine* editor) { return Of(editor)->prompt.data(); }
  static int Read(EditLine* editor, wchar_t* character) {
    Impl& self = *Of(editor);
    if (!self.begun.empty()) {
      *character = kBegunCode;
      return 1;
    }
    if (self.waiting) {
      *character = *std::exchange(self.waiting, std::nullopt);
      return 1;
    }
    const KeyPress press = self.keys.Next();
    if (press.key == Key::kInputEnd) return 0;
    *character = press.key == Key::kText ? static_cast<wchar_t>(press.character) : CodeOf(press.key);
    if (press.key == Key::kMeta) {
      *character = kEscapeKey;
      self.waiting = static_cast<wchar_t>(press.character);
    }
    return 1;
  }
  static unsigned char Insert(EditLine* editor, const std::string& text) {
    return text.empty() || el_insertstr(editor, text.c_str()) != 0 ? CC_ERROR : CC_REFRESH;
  }
  static unsigned char NewLine(EditLine* editor, int) { return Insert(editor, "\n"); }
  static unsigned char Paste(EditLine* editor, int) {
    const std::string& text = Of(editor)->keys.pasted();
    if (!text.empty()) return Insert(editor, text);
    Say("\nlinnet: nothing was pasted, or more than {}; give that as a file\n",
        HumanBytes(TerminalKeys::kMostPasted));
    return CC_REDISPLAY;
  }
  static unsigned char Begin(EditLine* editor, int) {
    return Insert(editor, std::exchange(Of(editor)->begun, {}));
  }
  // What all commands have in common that begin as the line does.
  static unsigned char Complete(EditLine* editor, int) {
    const LineInfo* line = el_line(editor);
    const std::string typed(line->buffer, line->lastchar);
    std::string common;
    int found = 0;
    for (const std::string& command : Of(editor)->commands) {
      if (typed.empty() || !command.starts_with(typed)) continue;
      const auto differ = std::ranges::mismatch(common, command);
      common = found++ == 0 ? command : std::string(common.begin(), differ.in1);
    }
    if (found == 0 || line->cursor != line->lastchar) return Insert(editor, "\t");
    return Insert(editor, common.substr(typed.size()) + (found == 1 ? " " : ""));
  }
  static unsigned char Drop(EditLine* editor, int) {
    Of(editor)->dropped = true;
    std::fputs("^C\n", stdout);
    std::fflush(stdout);
    return CC_NEWLINE;
  }
};

LineEditor::LineEditor(const std::string& history, std::vector<std::string> commands)
    : impl_(std::make_unique<Impl>()) {
  impl_->commands = std::move(commands);
  impl_->history_file = history;
  impl_->history = history_init();
  HistEvent event;
  ::history(impl_->history, &event, H_SETSIZE, kHistoryLines);
  ::history(impl_->history, &event, H_SETUNIQUE, 1);
  if (!history.empty()) ::history(impl_->history, &event, H_LOAD, history.c_str());
  impl_->editor = el_init("linnet", stdin, stdout, stderr);
  el_set(impl_->editor, EL_CLIENTDATA, impl_.get());
  el_set(impl_->editor, EL_PROMPT, &Impl::Prompt);
  el_set(impl_->editor, EL_EDITOR, "emacs");
  el_set(impl_->editor, EL_HIST, ::history, impl_->history);
  el_wset(impl_->editor, EL_GETCFN, &Impl::Read);
  el_set(impl_->editor, EL_BIND, "^R", "em-inc-search-prev", nullptr);
  el_set(impl_->editor, EL_ADDFN, "linnet-complete", "Complete a command", &Impl::Complete);
  el_set(impl_->editor, EL_BIND, "^I", "linnet-complete", nullptr);
  el_set(impl_->editor, EL_ADDFN, "linnet-begin", "Write what the line begins with", &Impl::Begin);
  el_set(impl_->editor, EL_BIND, "\\213", "linnet-begin", nullptr);
  el_set(impl_->editor, EL_ADDFN, "linnet-new-line", "Insert a line break", &Impl::NewLine);
  el_set(impl_->editor, EL_ADDFN, "linnet-paste", "Insert what was pasted", &Impl::Paste);
  for (const Binding& binding : kBindings) {
    el_set(impl_->editor, EL_BIND, binding.octal, binding.command, nullptr);
  }
  // While a line is being edited Ctrl-C is a key like any other, and Enter is told from a line feed.
  el_set(impl_->editor, EL_SETTY, "-d", "-isig", "-icrnl", "-inlcr", nullptr);
  el_set(impl_->editor, EL_ADDFN, "drop-line", "Drop the line", &Impl::Drop);
  el_set(impl_->editor, EL_BIND, "^C", "drop-line", nullptr);
}

LineEditor::~LineEditor() {
  el_end(impl_->editor);
  history_end(impl_->history);
}

std::optional<std::string> LineEditor::ReadLine(const std::string& prompt, const std::string& begun) {
  impl_->prompt = prompt;
  impl_->begun = begun;
  impl_->dropped = false;
  el_resize(impl_->editor);
  int length = 0;
  const char* text = el_gets(impl_->editor, &length);
  if (impl_->dropped) return std::string();  // also an empty line: Ctrl-C ends no conversation
  if (text == nullptr || length <= 0) return std::nullopt;
  std::string line(text, static_cast<size_t>(length));
  while (!line.empty() && (line.back() == '\n' || line.back() == '\r')) line.pop_back();
  if (!line.empty()) {
    HistEvent event;
    ::history(impl_->history, &event, H_ENTER, line.c_str());
    if (!impl_->history_file.empty()) ::history(impl_->history, &event, H_SAVE, impl_->history_file.c_str());
  }
  return line;
}

std::string DefaultHistoryFile() {
  std::filesystem::path folder;
  if (const char* state = std::getenv("XDG_STATE_HOME"); state != nullptr && *state != '\0') {
    folder = state;
  } else if (const char* home = std::getenv("HOME"); home != nullptr && *home != '\0') {
    folder = std::filesystem::path(home) / ".local" / "state";
  } else {
    return {};
  }
  folder /= "linnet";
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  return error ? std::string() : (folder / "history").string();
}

}  // namespace linnet
