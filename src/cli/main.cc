#include <fmt/core.h>

#include <clocale>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <string>
#include <system_error>
#include <vector>

#include "base/cpu_info.h"
#include "base/mapped_file.h"
#include "base/process.h"
#include "cli/args.h"
#include "cli/commands.h"
#include "linnet/version.h"

namespace linnet {
namespace {

std::string VersionText() {
  const CpuInfo& cpu = GetCpuInfo();
  const KernelFacts kernels = DescribeKernels();
  std::string supported;
  for (const std::string& name : kernels.supported) supported += (supported.empty() ? "" : ", ") + name;
  std::string text = fmt::format(
      "linnet {}\nkernels: {} (this processor runs {}; LINNET_ISA=NAME chooses)\n"
      "processor: {}, {} processors, {} threads by default",
      Version(), kernels.used, supported, cpu.name.empty() ? "unknown" : cpu.name, cpu.processors, cpu.cores);
  if (!kernels.usable) text += "\nwarning: " + kernels.usable.error().Message();
  return text;
}

}  // namespace
}  // namespace linnet

int main(int argc, char** argv) {
  linnet::PrepareStandardStreams();
  linnet::TakeStack();
  linnet::GiveBackWhatIsFreed();
  linnet::ExitWhenMappedFilesAreCut();
  // The line editor counts characters of UTF-8; numbers stay as in C.
  std::setlocale(LC_CTYPE, "");
  if (MB_CUR_MAX == 1) std::setlocale(LC_CTYPE, "C.UTF-8");
  const std::vector<linnet::Command> commands = {
      linnet::RunCommand(),     linnet::TranscribeCommand(), linnet::TranslateCommand(),
      linnet::ServeCommand(),   linnet::InspectCommand(),    linnet::SessionCommand(),
      linnet::InfoCommand(),    linnet::FitCommand(),        linnet::BenchCommand(),
      linnet::ConvertCommand(), linnet::QuantiseCommand(),   linnet::ParityCommand(),
      linnet::PerplexityCommand(),
  };
  try {
    return linnet::RunCommandLine(argc, argv, commands, linnet::VersionText);
  } catch (const std::bad_alloc&) {  // outside of what the library reports itself
    std::fputs("linnet: not enough memory; give less at a time, or close other programs\n", stderr);
    return 1;
  } catch (const std::system_error& error) {  // threads that cannot be started
    std::fprintf(stderr, "linnet: the system refused: %s; ask for fewer --threads, or close other programs\n",
                 error.what());
    return 1;
  }
}
