// The command line: what a subcommand declares and how it is parsed. The one inclusion of CLI11 is in
// args.cc.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "linnet/error.h"

namespace linnet {

// Exit codes of every subcommand.
inline constexpr int kExitDone = 0;
inline constexpr int kExitFailed = 1;
inline constexpr int kExitWrongUse = 2;

// Declares the arguments of one subcommand. `names` is as "-p,--prompt"; a positional argument has a name
// without dashes, "MODEL,--model" can be given either way. The values must outlive the parse; unset ones keep
// what they hold.
class Args {
 public:
  struct Impl;
  explicit Args(Impl& impl) : impl_(impl) {}

  void Flag(const std::string& names, bool& value, const std::string& help);
  // Of a text, a whole number, a number, or one of these that may be left unset.
  template <typename Value>
  void Option(const std::string& names, Value& value, const std::string& help);
  // Given once for each element.
  void Option(const std::string& names, std::vector<std::string>& value, const std::string& help);
  // One of `allowed`.
  void Choice(const std::string& names, std::string& value, const std::vector<std::string>& allowed,
              const std::string& help);
  // Of a text, or of as many as are given.
  template <typename Value>
  void Positional(const std::string& name, Value& value, const std::string& help, bool required = true);
  // Holds the long names of the options that were given, "--fps", when the subcommand runs.
  void Given(std::set<std::string>& names);
  // An option that names a file with others in TOML, by their long names (config_file.h). What is given on
  // the command line goes first.
  void Config(const std::string& names, const std::string& help);
  // Text at the end of the help: examples.
  void Footer(const std::string& text);

 private:
  Impl& impl_;
};

struct Command {
  std::string name;
  std::string summary;  // one line
  // Declares the arguments and returns what to do when the subcommand was chosen, which gives an exit code or
  // an error that is still to be reported.
  std::function<std::function<Result<int>()>(Args&)> declare;
  std::string alias = {};  // another name for it
};

// Parses, prints help and errors, and runs the chosen subcommand. `version` is printed by --version.
int RunCommandLine(int argc, char** argv, const std::vector<Command>& commands,
                   const std::function<std::string()>& version);

// Options that are of no use in what was asked for.
struct OptionRule {
  std::vector<std::string> options;  // long names
  bool useful;
  std::string reason;  // "is for videos"
  std::string advice = "leave it out";
};
// Nothing asked for is ignored. Errors: kInvalidArgument for the first of the `given` options that is of no
// use.
Status CheckUseful(const std::set<std::string>& given, const std::vector<OptionRule>& rules);

// The most similar of `names`, if one is near enough to be meant.
std::optional<std::string> Nearest(std::string_view word, const std::vector<std::string>& names);

}  // namespace linnet
