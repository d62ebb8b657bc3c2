#include "base/cpu_topology.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace linnet {
namespace {

namespace fs = std::filesystem;

// Of the fastest core's speed: below this a core is of a slow kind. Cores of one kind differ by a tenth at
// most, the slow ones of phones and laptops reach a quarter to a half.
constexpr double kFastShare = 0.6;
constexpr int kMaxProcessors = 1 << 16;

std::optional<std::string> FirstLineOf(const fs::path& path) {
  std::ifstream file(path);
  std::string line;
  if (!std::getline(file, line)) return std::nullopt;
  return line;
}

std::optional<int64_t> Number(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end == text.data()) return std::nullopt;
  return value;
}

std::optional<int64_t> NumberIn(const fs::path& path) {
  const std::optional<std::string> line = FirstLineOf(path);
  return line ? Number(*line) : std::nullopt;
}

// "0-3,8,10-11" as numbers; what cannot be read is left out.
std::set<int> ParseList(std::string_view text) {
  std::set<int> numbers;
  while (!text.empty()) {
    const size_t comma = std::min(text.find(','), text.size());
    const std::string_view part = text.substr(0, comma);
    text.remove_prefix(std::min(comma + 1, text.size()));
    const size_t dash = part.find('-');
    const std::optional<int64_t> first = Number(part.substr(0, dash));
    const std::optional<int64_t> last = dash == part.npos ? first : Number(part.substr(dash + 1));
    if (!first || !last || *first < 0 || *last >= kMaxProcessors) continue;
    for (int64_t i = *first; i <= *last; ++i) numbers.insert(static_cast<int>(i));
  }
  return numbers;
}

fs::path Processor(const fs::path& root, int number) {
  return root / "sys/devices/system/cpu" / ("cpu" + std::to_string(number));
}

// The processors whose `file` says at least kFastShare of the largest value; all where one does not say.
std::vector<int> Fast(const fs::path& root, std::span<const int> processors, const char* file) {
  std::vector<int64_t> speeds;
  for (const int p : processors) speeds.push_back(NumberIn(Processor(root, p) / file).value_or(0));
  const auto [least, most] = std::ranges::minmax_element(speeds);
  std::vector<int> fast;
  for (size_t i = 0; i < processors.size(); ++i) {
    if (*least <= 0 || static_cast<double>(speeds[i]) >= kFastShare * static_cast<double>(*most))
      fast.push_back(processors[i]);
  }
  return fast;
}

std::vector<int> FastKind(const fs::path& root, std::span<const int> allowed) {
  // Intel's hybrid processors name their fast cores.
  if (const auto line = FirstLineOf(root / "sys/devices/cpu_core/cpus")) {
    const std::set<int> fast = ParseList(*line);
    std::vector<int> both;
    std::ranges::copy_if(allowed, std::back_inserter(both), [&](int p) { return fast.contains(p); });
    if (!both.empty()) return both;
  }
  const std::vector<int> capable = Fast(root, allowed, "cpu_capacity");  // ARM
  return Fast(root, capable, "cpufreq/cpuinfo_max_freq");
}

size_t PhysicalCores(const fs::path& root, std::span<const int> processors) {
  std::set<std::string> cores;
  for (const int p : processors) {
    const fs::path topology = Processor(root, p) / "topology";
    std::optional<std::string> siblings = FirstLineOf(topology / "core_cpus_list");
    if (!siblings) siblings = FirstLineOf(topology / "thread_siblings_list");
    cores.insert(siblings.value_or("processor " + std::to_string(p)));
  }
  return cores.size();
}

// quota / period of a version 2 group ("max 100000", "150000 100000").
std::optional<double> ShareOfGroup2(const fs::path& group) {
  const std::optional<std::string> line = FirstLineOf(group / "cpu.max");
  if (!line) return std::nullopt;
  const size_t space = std::min(line->find(' '), line->size());
  const std::optional<int64_t> quota = Number(*line);
  const std::optional<int64_t> period =
      Number(std::string_view(*line).substr(std::min(space + 1, line->size())));
  if (!quota || !period || *quota <= 0 || *period <= 0) return std::nullopt;
  return static_cast<double>(*quota) / static_cast<double>(*period);
}

std::optional<double> ShareOfGroup1(const fs::path& group) {
  const std::optional<int64_t> quota = NumberIn(group / "cpu.cfs_quota_us"),
                               period = NumberIn(group / "cpu.cfs_period_us");
  if (!quota || !period || *quota <= 0 || *period <= 0) return std::nullopt;
  return static_cast<double>(*quota) / static_cast<double>(*period);
}

// The smallest share of a group and of those that hold it. Inside a container the named group may not be
// there; its own is then the mount's root.
template <typename ShareOf>
void LowerTo(const fs::path& mount, const std::string& group, const ShareOf& share_of, double& share) {
  const fs::path relative = fs::path(group).relative_path().lexically_normal();
  if (!relative.empty() && *relative.begin() == "..") return;
  for (fs::path at = relative;; at = at.parent_path()) {
    if (const std::optional<double> own = share_of(mount / at)) share = std::min(share, *own);
    if (at.empty()) return;
  }
}

// Processors' worth of time that the control groups leave.
double ControlGroupShare(const fs::path& root) {
  double share = kMaxProcessors;
  std::ifstream file(root / "proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {  // "0::/path", "3:cpu,cpuacct:/path"
    const size_t first = line.find(':'), second = first == line.npos ? first : line.find(':', first + 1);
    if (second == line.npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1),
                      group = line.substr(second + 1);
    if (controllers.empty()) {
      LowerTo(root / "sys/fs/cgroup", group, ShareOfGroup2, share);
      LowerTo(root / "sys/fs/cgroup/unified", group, ShareOfGroup2, share);
    } else if (("," + controllers + ",").find(",cpu,") != std::string::npos) {
      LowerTo(root / "sys/fs/cgroup" / controllers, group, ShareOfGroup1, share);
      LowerTo(root / "sys/fs/cgroup/cpu", group, ShareOfGroup1, share);
    }
  }
  return share;
}

}  // namespace

int UsefulThreads(const fs::path& root, std::span<const int> allowed) {
  if (allowed.empty()) return 1;
  const double cores = static_cast<double>(PhysicalCores(root, FastKind(root, allowed)));
  return std::max(1, static_cast<int>(std::min(cores, ControlGroupShare(root))));
}

}  // namespace linnet
