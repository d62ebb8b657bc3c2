#include "cli/chat.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "base/process.h"
#include "cli/answer.h"
#include "cli/attachments.h"
#include "cli/context_table.h"
#include "cli/line_editor.h"
#include "cli/media_args.h"
#include "cli/report.h"

namespace linnet {
namespace {

constexpr const char* kHelp =
    "/image FILE    a picture for the next message      /audio FILE   a sound for it\n"
    "/video FILE    a video with its sound              @FILE         the same inside a message\n"
    "/mic           a sound from the microphone, until Ctrl-C\n"
    "/undo          take the last turn back             /context      who takes how many tokens\n"
    "/edit N TEXT   ask turn N anew with this text, and drop what follows; without TEXT: change the old one\n"
    "/fork          go on in a copy, a branch           /fork N       the same with the first N turns\n"
    "/branch        list the branches                   /branch N     go to one\n"
    "/save FILE     keep the conversation in a file     /load FILE    go on with one, as a branch\n"
    "/system TEXT   another system message, from anew   /think        thinking on or off\n"
    "/result TEXT   the result of the tool call asked for\n"
    "/reset         forget the conversation             /quit         leave (also Ctrl-D)\n"
    "Tab completes a command. A line that ends in \\ goes on in the next, as after Shift-Enter or Alt-Enter; "
    "a\n"
    "text of several lines can be pasted. Ctrl-C stops an answer.\n";

// "/name rest", as a command is written; a path or a comment that was pasted begins otherwise.
bool IsCommand(const std::string& line) {
  const std::string name = line.substr(1, line.find_first_of(" \t\n") - 1);
  return line.front() == '/' &&
         std::ranges::all_of(name, [](unsigned char c) { return std::isalpha(c) != 0; });
}

// A file's name as terminals write it that was dragged there: in quotes.
std::string Unquoted(const std::string& name) {
  const bool quoted = name.size() >= 2 && (name[0] == '"' || name[0] == '\'') && name.back() == name[0];
  return quoted ? name.substr(1, name.size() - 2) : name;
}

// "3 text" as 3 and "text"; nothing where it begins with no number that is more than 0.
struct Numbered {
  int64_t number = 0;
  std::string rest;
};
std::optional<Numbered> TakeNumber(const std::string& text) {
  Numbered taken;
  const char* const end = text.data() + text.size();
  const auto [behind, error] = std::from_chars(text.data(), end, taken.number);
  const std::string rest(behind, end);
  const size_t begin = rest.find_first_not_of(" \t\n");
  if (error != std::errc() || taken.number < 1 || (begin == 0 && !rest.empty())) return std::nullopt;
  if (begin != std::string::npos) taken.rest = rest.substr(begin);
  return taken;
}

// "1 medium", "3 media"; empty where there are none.
std::string MediaIn(const UserMessage& message) {
  const size_t media = message.pictures.size() + message.sounds.size();
  return media == 0 ? "" : fmt::format("{} {}", media, media == 1 ? "medium" : "media");
}

class ChatLoop {
 public:
  ChatLoop(Conversation& conversation, ChatStart start)
      : conversation_(conversation),
        start_(std::move(start)),
        next_(std::move(start_.first)),
        editor_(DefaultHistoryFile(), CommandNames("/")) {}

  int Run() {
    Say("A chat with {}. /help lists the commands.\n", start_.title);
    SayCallWaits();
    while (!done_) {
      const std::optional<std::string> line = ReadMessage("> ");
      if (!line) break;
      if (IsBlankLine(*line)) continue;
      if (IsCommand(*line)) {
        Command(*line);
      } else {
        Ask(*line);
      }
    }
    return Keep() ? kExitDone : kExitFailed;
  }

 private:
  // A command and what it takes.
  struct ChatCommand {
    std::string_view name;
    std::string_view takes;  // empty = nothing
    bool needed;
    void (ChatLoop::*run)(const std::string& rest);
  };
  static const std::array<ChatCommand, 18> kCommands;

  static std::vector<std::string> CommandNames(const std::string& before) {
    std::vector<std::string> names;
    for (const ChatCommand& command : kCommands) names.push_back(before + std::string(command.name));
    return names;
  }
  static bool IsBlankLine(const std::string& line) {
    return line.find_first_not_of(" \t\n") == std::string::npos;
  }

  std::optional<std::string> ReadMessage(const std::string& prompt, const std::string& begun = {}) {
    std::optional<std::string> message = editor_.ReadLine(prompt, begun);
    while (message && message->ends_with('\\')) {
      message->back() = '\n';
      const std::optional<std::string> more = editor_.ReadLine(". ");
      if (!more) break;
      *message += *more;
    }
    return message;
  }

  void Command(const std::string& line) {
    const size_t space = line.find_first_of(" \t\n");
    const std::string name = line.substr(1, space == std::string::npos ? space : space - 1);
    const size_t begin = line.find_first_not_of(" \t\n", space);
    const std::string rest =
        begin == std::string::npos ? "" : line.substr(begin, line.find_last_not_of(" \t\n") - begin + 1);
    const auto command = std::ranges::find(kCommands, name, &ChatCommand::name);
    if (command == kCommands.end()) {
      const auto nearest = Nearest(name, CommandNames(""));
      Say("linnet: unknown command /{}{}; /help lists them\n", name,
          nearest ? ", did you mean /" + *nearest + "?" : "");
    } else if (rest.empty() && command->needed) {
      Say("linnet: /{0} wants a {1}: /{0} {1}\n", name, command->takes);
    } else if (!rest.empty() && command->takes.empty()) {
      Say("linnet: /{} takes nothing behind it\n", name);
    } else {
      (this->*command->run)(rest);
    }
  }

  void Help(const std::string&) { SayText(kHelp); }
  void Quit(const std::string&) { done_ = true; }
  void Reset(const std::string&) {
    conversation_.Reset();
    next_ = {};
    Say("the conversation begins anew{}\n", LetFilesGo());
  }
  void System(const std::string& text) {
    conversation_.SetSystem(text);
    Say("the conversation begins anew, {} a system message{}\n", text.empty() ? "without" : "with",
        LetFilesGo());
  }
  // The session's file follows a conversation that begins anew, which the text tells; files that were saved
  // hold another one from now on.
  std::string LetFilesGo() {
    std::erase_if(saved_, [&](const SavedBranch& saved) { return saved.branch == branch_; });
    const bool follows = start_.session != nullptr && !start_.session->empty();
    return follows ? ", also in " + start_.session->path().string() : "";
  }
  void Image(const std::string& file) { AttachFile("image", Unquoted(file)); }
  void Audio(const std::string& file) { AttachFile("audio", Unquoted(file)); }
  void Video(const std::string& file) { AttachFile("video", Unquoted(file)); }

  void Think(const std::string& wanted) {
    if (!wanted.empty() && wanted != "on" && wanted != "off") {
      Say("linnet: /think takes on or off, or nothing to change it\n");
      return;
    }
    conversation_.SetThinking(wanted.empty() ? !conversation_.thinking() : wanted == "on");
    Say("thinking is {}\n", conversation_.thinking() ? "on" : "off");
  }

  void Ask(const std::string& line) {
    const UserMessage waiting = next_;
    if (!Take(line, next_)) return;
    conversation_.AddUser(std::exchange(next_, {}));
    if (Answer()) return;
    conversation_.DropUnanswered();
    next_ = waiting;
    SayTakenBack("the message is");
  }

  void SayTakenBack(const std::string& what) {
    Say("linnet: {} taken back, and the conversation is as before\n", what);
    SayWaiting();
  }

  void SayWaiting() {
    const std::string waiting = MediaIn(next_);
    if (waiting.empty()) return;
    Say("linnet: {} still wait{} for the next message\n", waiting, waiting.starts_with("1 ") ? "s" : "");
  }

  // Puts the text and the files of a line into a message. False when it names a file that cannot be used:
  // nothing is asked then.
  bool Take(const std::string& line, UserMessage& message) {
    interrupt_.Clear();
    auto found = TakeAttachments(line);
    if (!found) {
      Report(found.error());
      return false;
    }
    message.text = std::move(found->text);
    if (Told(LoadAttachments(found->files, start_.media, conversation_, message))) return true;
    message.text.clear();
    return false;
  }

  // What comes through a pipe may never come: Ctrl-C ends the wait for it.
  void AttachFile(const std::string& kind, const std::string& file) {
    interrupt_.Clear();
    auto source = ParseMediaAddress(file);
    if (!source) {
      Report(source.error());
      return;
    }
    const Attachment attachment{kind, std::move(*source)};
    Told(LoadAttachments({&attachment, 1}, start_.media, conversation_, next_));
  }

  void Record(const std::string&) {
    interrupt_.Clear();
    Told(LoadMic(start_.media, conversation_, interrupt_.flag(), next_));
    interrupt_.Clear();
  }

  static bool Told(const Result<std::vector<MediaUse>>& uses) {
    if (!uses) {
      Report(uses.error());
      return false;
    }
    for (const MediaUse& use : *uses) {
      Say("{}: {} tokens, goes with the next message\n", use.file, use.soft_tokens);
    }
    return true;
  }

  void ToolResult(const std::string& text) {
    if (!conversation_.AwaitsToolResult()) {
      Say("linnet: no tool call waits for a result; ask something first\n");
      return;
    }
    conversation_.AddToolResult(text);
    if (conversation_.AwaitsToolResult()) {
      SayCallWaits();
      return;
    }
    if (Answer()) return;
    conversation_.DropUnanswered();
    SayTakenBack("the result is");
    SayCallWaits();
  }

  void SayCallWaits() {
    if (conversation_.AwaitsToolResult()) Say("(answer the call with /result TEXT)\n");
  }

  // "turn 3 ("what is this")"; the turn must be there.
  std::string Named(int64_t turn) const {
    return fmt::format("turn {} ({})", turn, Quoted(conversation_.Asked(turn).value_or(UserMessage{}).text));
  }

  void Undo(const std::string&) {
    const int64_t last = conversation_.turns();
    if (last == 0) {
      Say("linnet: there is nothing to take back: nothing has been said yet\n");
      SayWaiting();
      return;
    }
    const std::string undone = Named(last);
    const bool called = conversation_.AwaitsToolResult();
    if (const Status dropped = conversation_.DropTurns(last); !dropped) {
      Report(dropped.error());
      return;
    }
    Say("{} is taken back{}; {}\n", undone, called ? " with its tool call" : "",
        last == 1 ? "nothing is left" : Counted(last - 1, "turn") + (last == 2 ? " is left" : " are left"));
    SayWaiting();
  }

  void Edit(const std::string& rest) {
    const std::optional<Numbered> wanted = TakeNumber(rest);
    if (!wanted) {
      Say("linnet: /edit wants the number of a turn, as /context shows it, and the new text: /edit N TEXT\n");
      return;
    }
    Result<UserMessage> old = conversation_.Asked(wanted->number);
    if (!old) {
      Report(old.error());
      return;
    }
    std::string text = wanted->rest;
    if (text.empty()) {
      text = ReadMessage(fmt::format("turn {}> ", wanted->number), old->text).value_or("");
    }
    if (IsBlankLine(text)) {
      Say("turn {} stays as it is\n", wanted->number);
    } else {
      AskAnew(wanted->number, std::move(*old), text);
    }
  }

  void AskAnew(int64_t turn, UserMessage message, const std::string& text) {
    const ChatPoint before = conversation_.Point();
    const int64_t dropped = conversation_.turns() - turn;
    const std::string old = Named(turn);
    if (const Status taken = conversation_.DropTurns(turn); !taken) {
      Report(taken.error());
      return;
    }
    bool answered = Take(text, message);
    if (answered) {
      const std::string media = MediaIn(message);
      Say("{} is asked anew{}{}\n", old, media.empty() ? "" : ", with its " + media,
          dropped == 0 ? ""
                       : "; " + Counted(dropped, "turn") + " after it " + (dropped == 1 ? "goes" : "go"));
      conversation_.AddUser(std::move(message));
      answered = Answer();
    }
    if (!answered) {
      conversation_.GoTo(before);
      Say("linnet: {} and what follows it are as before\n", old);
    }
    SayWaiting();
  }

  void ShowContext(const std::string&) {
    const Result<ContextUse> use = conversation_.Use(next_);
    if (!use) {
      Report(use.error());
      return;
    }
    SayText(ContextTable(*use));
    Say("when less than {} are left: {}\n", Counted(use->answer_room, "token"), WhenFullText());
  }

  std::string WhenFullText() const {
    switch (conversation_.when_full()) {
      case WhenFull::kRefuse:
        return "what does not fit is refused; --when-full shift would let the oldest turns go";
      case WhenFull::kShift:
        return "the oldest turns go";
      case WhenFull::kSummarise:
        return "the oldest turns go, and a summary of them stays";
    }
    return {};
  }

  void Fork(const std::string& rest) {
    const int64_t turns = conversation_.turns();
    int64_t kept = turns;
    if (!rest.empty()) {
      const std::optional<Numbered> wanted = TakeNumber(rest);
      if (!wanted || !wanted->rest.empty()) {
        Say("linnet: /fork takes the number of the last turn of the copy, or nothing for all: /fork N\n");
        return;
      }
      kept = wanted->number;
    }
    if (kept > turns) {
      Report(conversation_.Asked(kept).error());
      return;
    }
    const size_t from = branch_;
    branches_[branch_] = Here();
    if (kept < turns) {
      if (const Status dropped = conversation_.DropTurns(kept + 1); !dropped) {
        Report(dropped.error());
        return;
      }
    }
    branch_ = branches_.size();
    branches_.push_back(Here());
    const std::string copy = kept == turns ? "a copy"
                             : kept == 1   ? "with the first turn"
                                           : fmt::format("with the first {} turns", kept);
    Say("this is branch {0} now, {1} of branch {2}; /branch {2} goes back\n", branch_ + 1, copy, from + 1);
    if (start_.session != nullptr) {
      Say("{} keeps the branch in which you leave, and no other; /save FILE keeps one by itself\n",
          start_.session->path().string());
    }
    SayCallWaits();
    SayWaiting();
  }

  void Switch(const std::string& rest) {
    branches_[branch_] = Here();
    if (rest.empty()) {
      ListBranches();
      return;
    }
    const std::optional<Numbered> wanted = TakeNumber(rest);
    if (!wanted || !wanted->rest.empty()) {
      Say("linnet: /branch takes the number of a branch, or nothing to list them: /branch N\n");
      return;
    }
    if (wanted->number > static_cast<int64_t>(branches_.size())) {
      Say("linnet: there is no branch {}; {}\n", wanted->number,
          branches_.size() == 1 ? "/fork makes one" : fmt::format("they are 1 to {}", branches_.size()));
      return;
    }
    branch_ = static_cast<size_t>(wanted->number - 1);
    conversation_.GoTo(branches_[branch_].point);
    Say("branch {}: {}\n", branch_ + 1, branches_[branch_].text);
    SayCallWaits();
    SayWaiting();
  }

  void ListBranches() {
    for (size_t b = 0; b < branches_.size(); ++b) {
      Say("{} branch {}: {}\n", b == branch_ ? "*" : " ", b + 1, branches_[b].text);
    }
  }

  // What somebody else has kept there stays.
  void Save(const std::string& rest) {
    const std::string name = Unquoted(rest);
    if (start_.session != nullptr && IsSameFile(name, start_.session->path())) {
      Say("linnet: {} keeps this chat anyway, after each answer (--session)\n", name);
      return;
    }
    auto file = SessionFile::Open(name);
    if (!file) {
      Report(file.error());
      return;
    }
    const bool own = std::ranges::any_of(saved_, [&](const SavedBranch& saved) {
      return saved.branch == branch_ && IsSameFile(name, saved.path);
    });
    if (!file->empty() && !own) {
      Say("linnet: {} holds another conversation, of {}; give another name\n", name,
          Counted(file->facts().messages, "message"));
      return;
    }
    if (const Status saved = file->Save(conversation_); !saved) {
      Report(saved.error());
      return;
    }
    std::erase_if(saved_, [&](const SavedBranch& saved) { return IsSameFile(name, saved.path); });
    saved_.push_back({std::filesystem::absolute(file->path()), branch_});
    Say("{} holds this conversation, {}; /load goes on with it, and so does 'linnet run --session'\n", name,
        Counted(conversation_.turns(), "turn"));
    SayWaiting();
  }

  static bool IsSameFile(const std::filesystem::path& a, const std::filesystem::path& b) {
    std::error_code ignored;
    return std::filesystem::equivalent(a, b, ignored);
  }

  // As a branch, so that nothing is lost that was said here.
  void Load(const std::string& rest) {
    const std::string name = Unquoted(rest);
    if (start_.session != nullptr) {
      Say("linnet: {} keeps this chat (--session) and would lose it; run 'linnet run --session {}' instead\n",
          start_.session->path().string(), name);
      return;
    }
    auto file = SessionFile::Read(name);
    if (!file) {
      Report(file.error());
      return;
    }
    if (file->empty()) {
      Say("linnet: {} holds no conversation\n", name);
      return;
    }
    SessionOptions options = file->facts().options;
    options.context = conversation_.context();
    auto loaded = file->Load(*start_.engine, options);
    if (!loaded) {
      Report(loaded.error());
      return;
    }
    loaded->SetWhenFull(conversation_.when_full());
    branches_[branch_] = Here();
    const size_t from = branch_;
    conversation_ = std::move(*loaded);
    branch_ = branches_.size();
    branches_.push_back(Here());
    saved_.push_back({std::filesystem::absolute(file->path()), branch_});
    Say("this is branch {} now: {}; /branch {} goes back\n", branch_ + 1, branches_[branch_].text, from + 1);
    SayCallWaits();
    SayWaiting();
  }

  struct Branch {
    ChatPoint point;
    std::string text;  // what it holds
  };
  // A file that holds a branch, as it was when it was saved or loaded.
  struct SavedBranch {
    std::filesystem::path path;
    size_t branch;
  };
  Branch Here() const {
    const int64_t turns = conversation_.turns();
    return {conversation_.Point(),
            turns == 0 ? "nothing has been said" : Counted(turns, "turn") + ", the last is " + Named(turns)};
  }

  // False when there is none: the messages are those that it was to answer then.
  bool Answer() {
    interrupt_.Clear();
    AnswerPrinter printer;
    ProgressLine progress;
    GenerateHooks hooks = printer.Hooks();
    hooks.cancel = &interrupt_.flag();
    hooks.on_prompt = [&progress](double fraction, std::string_view what) {
      fraction < 1.0 ? progress.Show(fraction, what) : progress.Clear();
    };
    const auto answer = conversation_.Answer(start_.options, hooks);
    progress.Clear();
    if (!answer) {
      Report(answer.error());
      return false;
    }
    printer.Finish(*answer);
    if (answer->finish == FinishReason::kContext) SayWhatToDo();
    if (!start_.quiet) {
      Say("linnet: {}; {}; {} of {} tokens used\n", StatsLine(answer->stats), ReusedText(answer->stats),
          conversation_.length(), conversation_.context());
    }
    Keep();
    SayCallWaits();
    return true;
  }

  void SayWhatToDo() {
    Say("linnet: {}\n", conversation_.when_full() == WhenFull::kRefuse
                            ? "for the next message take turns back (/undo) or begin anew (/reset); with "
                              "--when-full shift the oldest turns go by themselves"
                            : "with the next message the oldest turns go");
  }

  // False when the session's file cannot be written. A session in which nothing was said makes none.
  bool Keep() {
    if (start_.session == nullptr || (start_.session->empty() && conversation_.length() == 0)) return true;
    const Status kept = start_.session->Save(conversation_);
    if (!kept) Report(kept.error());
    return kept.has_value();
  }

  Conversation& conversation_;
  ChatStart start_;
  UserMessage next_;
  LineEditor editor_;
  std::vector<Branch> branches_ = {Here()};
  std::vector<SavedBranch> saved_;
  size_t branch_ = 0;  // the one that the conversation holds; its place in the list waits
  InterruptGuard
      interrupt_;  // also between answers: a key typed before the editor has the terminal must not end us
  bool done_ = false;
};

constexpr std::array<ChatLoop::ChatCommand, 18> ChatLoop::kCommands = {
    {{"help", "", false, &ChatLoop::Help},
     {"quit", "", false, &ChatLoop::Quit},
     {"exit", "", false, &ChatLoop::Quit},
     {"reset", "", false, &ChatLoop::Reset},
     {"system", "TEXT", false, &ChatLoop::System},
     {"think", "on or off", false, &ChatLoop::Think},
     {"image", "FILE", true, &ChatLoop::Image},
     {"audio", "FILE", true, &ChatLoop::Audio},
     {"video", "FILE", true, &ChatLoop::Video},
     {"mic", "", false, &ChatLoop::Record},
     {"result", "TEXT", true, &ChatLoop::ToolResult},
     {"undo", "", false, &ChatLoop::Undo},
     {"edit", "N", true, &ChatLoop::Edit},
     {"context", "", false, &ChatLoop::ShowContext},
     {"fork", "N", false, &ChatLoop::Fork},
     {"branch", "N", false, &ChatLoop::Switch},
     {"save", "FILE", true, &ChatLoop::Save},
     {"load", "FILE", true, &ChatLoop::Load}}};

}  // namespace

int Chat(Conversation& conversation, ChatStart start) {
  return ChatLoop(conversation, std::move(start)).Run();
}

}  // namespace linnet
