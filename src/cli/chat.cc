#include "cli/chat.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "base/printable.h"
#include "base/process.h"
#include "cli/answer.h"
#include "cli/attachments.h"
#include "cli/line_editor.h"
#include "cli/media_args.h"
#include "cli/report.h"

namespace linnet {
namespace {

constexpr const char* kHelp =
    "/image FILE    a picture for the next message      /audio FILE   a sound for it\n"
    "/video FILE    a video with its sound              @FILE         the same inside a message\n"
    "/mic           a sound from the microphone, until Ctrl-C\n"
    "/system TEXT   another system message, from anew   /think        thinking on or off\n"
    "/result TEXT   the result of the tool call asked for\n"
    "/reset         forget the conversation             /quit         leave (also Ctrl-D)\n"
    "A line that ends in \\ goes on in the next, as after Shift-Enter or Alt-Enter; a text of several lines\n"
    "can be pasted. Ctrl-C stops an answer.\n";

// A command and what it takes.
struct ChatCommand {
  std::string_view name;
  std::string_view takes;  // empty = nothing
  bool needed = false;
};
constexpr std::array<ChatCommand, 11> kCommands = {{{"help", ""},
                                                    {"quit", ""},
                                                    {"exit", ""},
                                                    {"reset", ""},
                                                    {"system", "TEXT"},
                                                    {"think", "on or off"},
                                                    {"image", "FILE", true},
                                                    {"audio", "FILE", true},
                                                    {"video", "FILE", true},
                                                    {"mic", ""},
                                                    {"result", "TEXT", true}}};

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

class ChatLoop {
 public:
  ChatLoop(Conversation& conversation, ChatStart start)
      : conversation_(conversation), start_(std::move(start)), next_(std::move(start_.first)) {}

  int Run() {
    Say("A chat with {}. /help lists the commands.\n", start_.title);
    LineEditor editor(DefaultHistoryFile());
    while (!done_) {
      const std::optional<std::string> line = ReadMessage(editor);
      if (!line) break;
      if (line->find_first_not_of(" \t\n") == std::string::npos) continue;
      if (IsCommand(*line)) {
        Command(*line);
      } else {
        if (!Take(*line)) continue;
        conversation_.AddUser(std::exchange(next_, {}));
        Answer();
      }
    }
    return kExitDone;
  }

 private:
  std::optional<std::string> ReadMessage(LineEditor& editor) {
    std::optional<std::string> message = editor.ReadLine("> ");
    while (message && message->ends_with('\\')) {
      message->back() = '\n';
      const std::optional<std::string> more = editor.ReadLine(". ");
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
      std::vector<std::string> names;
      for (const ChatCommand& known : kCommands) names.emplace_back(known.name);
      const auto nearest = Nearest(name, names);
      Say("linnet: unknown command /{}{}; /help lists them\n", name,
          nearest ? ", did you mean /" + *nearest + "?" : "");
    } else if (rest.empty() && command->needed) {
      Say("linnet: /{0} wants a {1}: /{0} {1}\n", name, command->takes);
    } else if (!rest.empty() && command->takes.empty()) {
      Say("linnet: /{} takes nothing behind it\n", name);
    } else {
      Do(name, rest);
    }
  }

  void Do(const std::string& name, const std::string& rest) {
    if (name == "help") {
      SayText(kHelp);
    } else if (name == "quit" || name == "exit") {
      done_ = true;
    } else if (name == "reset") {
      conversation_.Reset();
      next_ = {};
    } else if (name == "system") {
      conversation_.SetSystem(rest);
      Say("the conversation begins anew, {} a system message\n", rest.empty() ? "without" : "with");
    } else if (name == "think") {
      Think(rest);
    } else if (name == "mic") {
      Record();
    } else if (name == "result") {
      ToolResult(rest);
    } else {
      AttachFile(name, Unquoted(rest));
    }
  }

  void Think(const std::string& wanted) {
    if (!wanted.empty() && wanted != "on" && wanted != "off") {
      Say("linnet: /think takes on or off, or nothing to change it\n");
      return;
    }
    conversation_.SetThinking(wanted.empty() ? !conversation_.thinking() : wanted == "on");
    Say("thinking is {}\n", conversation_.thinking() ? "on" : "off");
  }

  // The text and the files of a message. False when it names a file that cannot be used: nothing is asked
  // then.
  bool Take(const std::string& line) {
    interrupt_.Clear();
    auto found = TakeAttachments(line);
    if (!found) {
      Report(found.error());
      return false;
    }
    next_.text = std::move(found->text);
    if (Told(LoadAttachments(found->files, start_.media, conversation_, next_))) return true;
    next_.text.clear();
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

  void Record() {
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
    if (!conversation_.AwaitsToolResult()) Answer();
  }

  void Answer() {
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
      conversation_.DropUnanswered();
      return;
    }
    printer.Finish(*answer);
    if (!start_.quiet) {
      Say("linnet: {}; {} of {} tokens used\n", StatsLine(answer->stats), conversation_.length(),
          conversation_.context());
    }
    if (conversation_.AwaitsToolResult()) Say("(answer the call with /result TEXT)\n");
  }

  Conversation& conversation_;
  ChatStart start_;
  UserMessage next_;
  InterruptGuard
      interrupt_;  // also between answers: a key typed before the editor has the terminal must not end us
  bool done_ = false;
};

}  // namespace

int Chat(Conversation& conversation, ChatStart start) {
  return ChatLoop(conversation, std::move(start)).Run();
}

}  // namespace linnet
