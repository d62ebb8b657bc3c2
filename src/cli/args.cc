#include "cli/args.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <deque>
#include <numeric>
#include <sstream>
#include <type_traits>
#include <utility>

#include "cli/config_file.h"
#include "cli/report.h"
#include "linnet/version.h"

namespace linnet {

struct Args::Impl {
  CLI::App& app;
  std::set<std::string>* given = nullptr;
  std::string config = {};                 // the file of options, if there is one
  std::vector<ConfigOption> in_file = {};  // that it may have

  template <typename Value>
  void AddToFile(const CLI::Option& option, Value& value, const std::vector<std::string>& allowed = {}) {
    if constexpr (std::is_constructible_v<decltype(ConfigOption::value), Value*>) {
      if (!option.get_lnames().empty()) in_file.push_back({option.get_lnames().front(), &value, allowed});
    }
  }
};

namespace {

// Insertions, deletions, replacements and exchanges of neighbours that turn one word into the other.
size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  std::iota(last.begin(), last.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], before[j - 2] + 1);
      }
    }
    before.swap(last);
    last.swap(row);
  }
  return last[b.size()];
}

int WrongUse(const std::string& what, const std::string& command) {
  Say("linnet: {}; see 'linnet {}{}--help'\n", what, command, command.empty() ? "" : " ");
  return kExitWrongUse;
}

std::string Unknown(const std::string& kind, const std::string& word, const std::vector<std::string>& known) {
  std::string text = "unknown " + kind + " '" + word + "'";
  if (const auto nearest = Nearest(word, known)) text += ", did you mean '" + *nearest + "'?";
  return text;
}

std::vector<std::string> LongNames(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  return names;
}

// The arguments that no option took. CLI11 gives them in order, with the `--` that ends the options.
int CheckRemaining(const CLI::App& app, const std::string& command) {
  bool options = true;
  for (const std::string& argument : app.remaining()) {
    if (std::exchange(options, options && argument != "--") && argument == "--") continue;
    const std::string word = argument.substr(0, argument.find('='));
    if (options && word.size() > 1 && word[0] == '-') {
      return WrongUse(Unknown("option", word, LongNames(app)), command);
    }
    return WrongUse("nothing takes the argument '" + argument + "'", command);
  }
  return kExitDone;
}

void RecordGiven(const CLI::App& app, std::set<std::string>& given) {
  for (const CLI::Option* option : app.get_options()) {
    if (option->count() == 0 || option->get_lnames().empty()) continue;
    given.insert("--" + option->get_lnames().front());
  }
}

// The file of options, if one is named; what was given goes first, and is recorded.
Status ReadConfig(const CLI::App& app, const Args::Impl& args) {
  std::set<std::string> unasked;
  std::set<std::string>& given = args.given != nullptr ? *args.given : unasked;
  RecordGiven(app, given);
  return args.config.empty() ? Status() : ReadConfigFile(args.config, args.in_file, given);
}

// `--name=`, whose value is missing: the library would take the next argument for it.
std::optional<std::string> EmptyValue(int argc, char** argv) {
  for (int i = 1; i < argc && std::string_view(argv[i]) != "--"; ++i) {
    const std::string_view word = argv[i];
    if (word.size() > 3 && word.starts_with("--") && word.ends_with('=') &&
        word.find('=') + 1 == word.size()) {
      return std::string(word);
    }
  }
  return std::nullopt;
}

// The first word that is not an option, if it names no subcommand.
std::optional<std::string> UnknownCommand(int argc, char** argv, const std::vector<std::string>& names) {
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (!word.empty() && word[0] == '-') continue;
    if (std::find(names.begin(), names.end(), word) != names.end()) return std::nullopt;
    return word;
  }
  return std::nullopt;
}

int ParseAndRun(int argc, char** argv, const std::vector<Command>& commands,
                const std::function<std::string()>& version) {
  if (const auto empty = EmptyValue(argc, argv)) return WrongUse(*empty + " has no value", "");
  CLI::App app("Linnet runs Gemma 4 12B Unified on this computer: text, pictures and sound in, text out.",
               "linnet");
  bool show_version = false;
  app.add_flag("--version", show_version, "print the version and the kernels in use");
  app.footer("Examples:\n  linnet run -p \"Describe this.\" --image photo.jpg\n  linnet info model.gguf\n");
  app.require_subcommand(0, 1);
  app.allow_extras();
  std::vector<std::function<Result<int>()>> actions;
  std::deque<Args::Impl> declared;
  std::vector<std::string> names;
  for (const Command& command : commands) {
    CLI::App* sub = app.add_subcommand(command.name, command.summary);
    sub->allow_extras();
    Args args(declared.emplace_back(Args::Impl{*sub}));
    actions.push_back(command.declare(args));
    names.push_back(command.name);
    if (command.alias.empty()) continue;
    sub->alias(command.alias);
    names.push_back(command.alias);
  }
  if (const auto word = UnknownCommand(argc, argv, names)) {
    return WrongUse(Unknown("command", *word, names), "");
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp& help) {
    std::ostringstream text;
    app.exit(help, text, text);
    Write(text.str());
    return kExitDone;
  } catch (const CLI::ParseError& error) {
    const auto chosen = app.get_subcommands();
    std::string what = error.what();
    if (const size_t twice = what.find(": At Most 1"); twice != std::string::npos) {
      what = what.substr(0, twice) + " is given more than once";
    }
    return WrongUse(what, chosen.empty() ? "" : chosen[0]->get_name());
  }
  if (show_version) {
    Write(version() + "\n");
    return kExitDone;
  }
  if (const int code = CheckRemaining(app, ""); code != kExitDone) return code;
  for (size_t i = 0; i < commands.size(); ++i) {
    const CLI::App* sub = app.get_subcommand(commands[i].name);
    if (!sub->parsed()) continue;
    if (const int code = CheckRemaining(*sub, commands[i].name); code != kExitDone) return code;
    if (const Status isa = DescribeKernels().usable; !isa) return Report(isa.error());
    if (const Status read = ReadConfig(*sub, declared[i]); !read) return Report(read.error());
    const Result<int> code = actions[i]();
    return code ? *code : Report(code.error());
  }
  SayText(app.help());
  return WrongUse("no command given", "");
}

// What stands in the way of reading an option's value as this type; empty = nothing. The library's own
// conversion takes the nearest number for one that is too large, and an empty text for none.
template <typename T>
std::string Problem(const std::string& text) {
  if (text.empty()) return "is empty";
  if constexpr (std::is_integral_v<T>) {
    T value{};
    const char* const end = text.data() + text.size();
    const auto read = std::from_chars(text.data() + (text[0] == '+' ? 1 : 0), end, value);
    if (read.ec == std::errc::result_out_of_range) return "'" + text + "' is beyond what this takes";
    if (read.ec != std::errc() || read.ptr != end) return "'" + text + "' is no whole number this takes";
  }
  return {};
}

template <typename T>
struct ValueOf {
  using Type = T;
};
template <typename T>
struct ValueOf<std::optional<T>> {
  using Type = T;
};

template <typename T>
CLI::Option* AddOption(CLI::App& app, const std::string& names, T& value, const std::string& help) {
  return app.add_option(names, value, help)->check([](const std::string& text) {
    return Problem<typename ValueOf<T>::Type>(text);
  });
}

}  // namespace

Status CheckUseful(const std::set<std::string>& given, const std::vector<OptionRule>& rules) {
  for (const OptionRule& rule : rules) {
    for (const std::string& option : rule.options) {
      if (rule.useful || !given.contains(option)) continue;
      return Fail(ErrorCode::kInvalidArgument, option + " " + rule.reason, rule.advice);
    }
  }
  return {};
}

std::optional<std::string> Nearest(std::string_view word, const std::vector<std::string>& names) {
  const std::string* nearest = nullptr;
  size_t smallest = std::max<size_t>(2, word.size() / 3) + 1;
  for (const std::string& name : names) {
    const size_t distance = EditDistance(word, name);
    if (distance >= smallest || distance >= name.size()) continue;
    smallest = distance;
    nearest = &name;
  }
  if (nearest == nullptr) return std::nullopt;
  return *nearest;
}

void Args::Flag(const std::string& names, bool& value, const std::string& help) {
  impl_.AddToFile(*impl_.app.add_flag(names, value, help), value);
}
template <typename Value>
void Args::Option(const std::string& names, Value& value, const std::string& help) {
  impl_.AddToFile(*AddOption(impl_.app, names, value, help), value);
}
template void Args::Option(const std::string&, std::string&, const std::string&);
template void Args::Option(const std::string&, std::optional<std::string>&, const std::string&);
template void Args::Option(const std::string&, int64_t&, const std::string&);
template void Args::Option(const std::string&, uint64_t&, const std::string&);
template void Args::Option(const std::string&, float&, const std::string&);
template void Args::Option(const std::string&, double&, const std::string&);
template void Args::Option(const std::string&, std::optional<float>&, const std::string&);
template void Args::Option(const std::string&, std::optional<int32_t>&, const std::string&);

void Args::Option(const std::string& names, std::vector<std::string>& value, const std::string& help) {
  CLI::Option* const option = AddOption(impl_.app, names, value, help);
  option->allow_extra_args(false)->type_name("TEXT ...");
  impl_.AddToFile(*option, value);
}
void Args::Choice(const std::string& names, std::string& value, const std::vector<std::string>& allowed,
                  const std::string& help) {
  CLI::Option* const option = impl_.app.add_option(names, value, help)->check(CLI::IsMember(allowed));
  impl_.AddToFile(*option, value, allowed);
}
template <typename Value>
void Args::Positional(const std::string& name, Value& value, const std::string& help, bool required) {
  AddOption(impl_.app, name, value, help)->required(required);
}
template void Args::Positional(const std::string&, std::string&, const std::string&, bool);
template void Args::Positional(const std::string&, std::vector<std::string>&, const std::string&, bool);

void Args::Given(std::set<std::string>& names) { impl_.given = &names; }
void Args::Config(const std::string& names, const std::string& help) {
  AddOption(impl_.app, names, impl_.config, help);
}
void Args::Footer(const std::string& text) { impl_.app.footer(text); }

int RunCommandLine(int argc, char** argv, const std::vector<Command>& commands,
                   const std::function<std::string()>& version) {
  try {
    return ParseAndRun(argc, argv, commands, version);
  } catch (const CLI::Error& error) {  // a wrong declaration: a defect of ours
    Say("linnet: internal error in the command line: {}\n", error.what());
    return kExitFailed;
  }
}

}  // namespace linnet
