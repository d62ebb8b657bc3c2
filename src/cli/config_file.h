// Options of a command from a file in TOML: `parallel = 8`, by their long names.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "linnet/error.h"

namespace linnet {

struct ConfigOption {
  std::string name;  // without dashes
  std::variant<std::string*, int64_t*, bool*, std::vector<std::string>*> value;
  std::vector<std::string> allowed = {};  // of a text; empty: any
};

// Sets those that the file has, but for the `given` ones ("--parallel"): the command line goes first. Adds
// what it sets to `given`. Errors, kInvalidArgument, with the line: it is no TOML, there is no such option,
// its value is of another type or not allowed.
Status ReadConfigFile(const std::string& path, const std::vector<ConfigOption>& options,
                      std::set<std::string>& given);

}  // namespace linnet
