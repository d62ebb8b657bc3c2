#include "base/cpu_topology.h"

#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/system_files.h"

namespace linnet {
namespace {

namespace fs = std::filesystem;

// Of the fastest core's speed: below this a core is of a slow kind. Cores of one kind differ by a tenth at
// most, the slow ones of phones and laptops reach a quarter to a half.
constexpr double kFastShare = 0.6;
constexpr int kMaxProcessors = 1 << 16;

// "0-3,8,10-11" as numbers; what cannot be read is left out.
std::set<int> ParseList(std::string_view text) {
  std::set<int> numbers;
  while (!text.empty()) {
    const size_t comma = std::min(text.find(','), text.size());
    const std::string_view part = text.substr(0, comma);
    text.remove_prefix(std::min(comma + 1, text.size()));
    const size_t dash = part.find('-');
    const std::optional<int64_t> first = LeadingNumber(part.substr(0, dash));
    const std::optional<int64_t> last = dash == part.npos ? first : LeadingNumber(part.substr(dash + 1));
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
  const std::optional<int64_t> quota = LeadingNumber(*line);
  const std::optional<int64_t> period =
      LeadingNumber(std::string_view(*line).substr(std::min(space + 1, line->size())));
  if (!quota || !period || *quota <= 0 || *period <= 0) return std::nullopt;
  return static_cast<double>(*quota) / static_cast<double>(*period);
}

std::optional<double> ShareOfGroup1(const fs::path& group) {
  const std::optional<int64_t> quota = NumberIn(group / "cpu.cfs_quota_us"),
                               period = NumberIn(group / "cpu.cfs_period_us");
  if (!quota || !period || *quota <= 0 || *period <= 0) return std::nullopt;
  return static_cast<double>(*quota) / static_cast<double>(*period);
}

// Processors' worth of time that the control groups leave.
double ControlGroupShare(const fs::path& root) {
  double share = kMaxProcessors;
  ForEachControlGroup(root, "cpu", [&](const ControlGroup& group) {
    const auto own = group.version == 1 ? ShareOfGroup1(group.folder) : ShareOfGroup2(group.folder);
    if (own) share = std::min(share, *own);
  });
  return share;
}

}  // namespace

int UsefulThreads(const fs::path& root, std::span<const int> allowed) {
  if (allowed.empty()) return 1;
  const double cores = static_cast<double>(PhysicalCores(root, FastKind(root, allowed)));
  return std::max(1, static_cast<int>(std::min(cores, ControlGroupShare(root))));
}

}  // namespace linnet
