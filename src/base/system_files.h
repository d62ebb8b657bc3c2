// The small text files in which Linux tells about itself. `root` is "/", or a made-up tree in tests; what is
// missing or nonsense reads as nothing.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace linnet {

// Of digits at the beginning of a text.
std::optional<int64_t> LeadingNumber(std::string_view text);
std::optional<std::string> FirstLineOf(const std::filesystem::path& path);
std::optional<int64_t> NumberIn(const std::filesystem::path& path);
// The number behind `name` (and blanks or a colon) on the line that begins with it.
std::optional<int64_t> NumberAt(const std::filesystem::path& path, std::string_view name);

// A control group, by the folder of its files. Version 1 has a tree for each controller, version 2 one for
// all.
struct ControlGroup {
  std::filesystem::path folder;
  int version = 2;
  std::string name;  // "/user.slice/job", from the mount's root
};
// Visits the group of this process that `controller` ("memory") acts in, then those that hold it, up to the
// root of the mount. Inside a container the named group may not be there; its own is then the mount's root.
void ForEachControlGroup(const std::filesystem::path& root, std::string_view controller,
                         const std::function<void(const ControlGroup&)>& visit);

}  // namespace linnet
