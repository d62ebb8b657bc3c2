#include "cli/chat.h"

#include <fmt/core.h>

#include <cstdio>
#include <optional>
#include <string_view>
#include <utility>

#include "base/process.h"
#include "cli/answer.h"
#include "cli/line_editor.h"
#include "cli/media_args.h"
#include "cli/report.h"
#include "model/config.h"

namespace linnet {
namespace {

constexpr const char* kHelp =
    "/image FILE    a picture for the next message      /audio FILE   a sound for it\n"
    "/system TEXT   another system message, from anew   /think        thinking on or off\n"
    "/result TEXT   the result of the tool call asked for\n"
    "/reset         forget the conversation             /quit         leave (also Ctrl-D)\n"
    "A line that ends in \\ goes on in the next. Ctrl-C stops an answer.\n";

class ChatLoop {
 public:
  ChatLoop(Engine& engine, Conversation& conversation, ChatStart start)
      : engine_(engine), conversation_(conversation), start_(std::move(start)), next_(std::move(start_.first)) {}

  int Run() {
    fmt::print(stderr, "A chat with {}. /help lists the commands.\n", start_.title);
    LineEditor editor(DefaultHistoryFile());
    while (!done_) {
      const std::optional<std::string> line = ReadMessage(editor);
      if (!line) break;
      if (line->empty()) continue;
      if (line->front() == '/') {
        Command(*line);
      } else {
        next_.text = *line;
        conversation_.AddUser(std::exchange(next_, {}));
        Answer();
      }
    }
    return FlushOutput();
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
    const size_t space = line.find(' ');
    const std::string name = line.substr(1, space == std::string::npos ? space : space - 1);
    const size_t begin = space == std::string::npos ? space : line.find_first_not_of(' ', space);
    const std::string rest = begin == std::string::npos ? "" : line.substr(begin);
    if (name == "help") {
      fmt::print(stderr, "{}", kHelp);
    } else if (name == "quit" || name == "exit") {
      done_ = true;
    } else if (name == "reset") {
      conversation_.Reset();
      next_ = {};
    } else if (name == "system") {
      conversation_.SetSystem(rest);
    } else if (name == "think") {
      conversation_.SetThinking(!conversation_.thinking());
      fmt::print(stderr, "thinking is {}\n", conversation_.thinking() ? "on" : "off");
    } else if (name == "image" || name == "audio") {
      Attach(name == "image", rest);
    } else if (name == "result") {
      ToolResult(rest);
    } else {
      const auto nearest = Nearest(name, {"help", "quit", "reset", "system", "think", "image", "audio", "result"});
      fmt::print(stderr, "linnet: unknown command /{}{}; /help lists them\n", name,
                 nearest ? ", did you mean /" + *nearest + "?" : "");
    }
  }

  void Attach(bool picture, const std::string& file) {
    MediaArgs media;
    media.image_tokens = start_.image_tokens;
    (picture ? media.images : media.audio).push_back(file);
    std::vector<MediaUse> uses;
    if (const Status status = LoadMedia(media, engine_.config(), next_, uses); !status) {
      Report(status.error());
    } else {
      fmt::print(stderr, "{}: {} tokens, goes with the next message\n", file, uses.back().soft_tokens);
    }
  }

  void ToolResult(const std::string& text) {
    if (!conversation_.AwaitsToolResult()) {
      fmt::print(stderr, "linnet: no tool call waits for a result; ask something first\n");
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
    fmt::print(stderr, "linnet: {}; {} of {} tokens used\n", StatsLine(answer->stats), conversation_.session().length(),
               conversation_.session().context());
    if (conversation_.AwaitsToolResult()) fmt::print(stderr, "(answer the call with /result TEXT)\n");
  }

  Engine& engine_;
  Conversation& conversation_;
  ChatStart start_;
  UserMessage next_;
  InterruptGuard interrupt_;  // also between answers: a key typed before the editor has the terminal must not end us
  bool done_ = false;
};

}  // namespace

int Chat(Engine& engine, Conversation& conversation, ChatStart start) {
  return ChatLoop(engine, conversation, std::move(start)).Run();
}

}  // namespace linnet
