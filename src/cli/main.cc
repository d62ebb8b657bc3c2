#include <fmt/core.h>

#include <string>

#include "base/cpu_info.h"
#include "cli/args.h"
#include "cli/commands.h"

namespace linnet {
namespace {

std::string Version() {
  const CpuInfo& cpu = GetCpuInfo();
  return fmt::format("linnet {}\nprocessor: {}, {} cores", LINNET_VERSION, cpu.name.empty() ? "unknown" : cpu.name,
                     cpu.cores);
}

}  // namespace
}  // namespace linnet

int main(int argc, char** argv) {
  return linnet::RunCommandLine(argc, argv, {}, linnet::Version);
}
