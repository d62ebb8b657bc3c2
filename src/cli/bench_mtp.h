// linnet bench mtp: its options and its report.
#pragma once

#include <cstdint>
#include <string>

#include "cli/args.h"
#include "eval/bench_mtp.h"

namespace linnet {

struct MtpBenchArgs {
  MtpBenchOptions options;
  std::string draft = "auto";
};

void DeclareMtpBench(Args& args, MtpBenchArgs& values);
// The rest of `values.options` has been filled in.
int RunMtpBenchCommand(MtpBenchArgs values, bool json);

}  // namespace linnet
