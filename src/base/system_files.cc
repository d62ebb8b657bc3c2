#include "base/system_files.h"

#include <charconv>
#include <fstream>

namespace linnet {
namespace {

namespace fs = std::filesystem;

void VisitUpwards(const fs::path& mount, int version, const std::string& group,
                  const std::function<void(const ControlGroup&)>& visit) {
  const fs::path relative = fs::path(group).relative_path().lexically_normal();
  if (!relative.empty() && *relative.begin() == "..") return;
  for (fs::path at = relative == "." ? fs::path() : relative;; at = at.parent_path()) {
    visit({mount / at, version, "/" + at.string()});
    if (at.empty()) return;
  }
}

}  // namespace

std::optional<int64_t> LeadingNumber(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end == text.data()) return std::nullopt;
  return value;
}

std::optional<std::string> FirstLineOf(const fs::path& path) {
  std::ifstream file(path);
  std::string line;
  if (!std::getline(file, line)) return std::nullopt;
  return line;
}

std::optional<int64_t> NumberIn(const fs::path& path) {
  const std::optional<std::string> line = FirstLineOf(path);
  return line ? LeadingNumber(*line) : std::nullopt;
}

std::optional<int64_t> NumberAt(const fs::path& path, std::string_view name) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with(name)) continue;
    const std::string_view rest = std::string_view(line).substr(name.size());
    const size_t value = rest.find_first_not_of(" \t:");
    if (value == 0 || value == rest.npos) continue;  // a longer name, or none
    return LeadingNumber(rest.substr(value));
  }
  return std::nullopt;
}

void ForEachControlGroup(const fs::path& root, std::string_view controller,
                         const std::function<void(const ControlGroup&)>& visit) {
  const fs::path mounts = root / "sys/fs/cgroup";
  std::ifstream file(root / "proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {  // "0::/path", "3:cpu,cpuacct:/path"
    const size_t first = line.find(':'), second = first == line.npos ? first : line.find(':', first + 1);
    if (second == line.npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1),
                      group = line.substr(second + 1);
    if (controllers.empty()) {
      VisitUpwards(mounts, 2, group, visit);
      VisitUpwards(mounts / "unified", 2, group, visit);
    } else if (("," + controllers + ",").find("," + std::string(controller) + ",") != std::string::npos) {
      VisitUpwards(mounts / controllers, 1, group, visit);
      if (controllers != controller) VisitUpwards(mounts / controller, 1, group, visit);
    }
  }
}

}  // namespace linnet
