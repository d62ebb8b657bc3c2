// What was measured, for a person and as one JSON object for a program.
#pragma once

#include <string>

#include "eval/bench.h"
#include "eval/bench_media.h"
#include "eval/bench_memory.h"
#include "eval/bench_mtp.h"
#include "eval/perplexity.h"

namespace linnet {

std::string AsText(const BenchResult& result, const BenchOptions& options);
std::string AsJson(const BenchResult& result);

std::string AsText(const MediaBenchResult& result);
std::string AsJson(const MediaBenchResult& result);

std::string AsText(const MemoryBenchResult& result);
std::string AsJson(const MemoryBenchResult& result);

std::string AsText(const MtpBenchResult& result, const MtpBenchOptions& options);
std::string AsJson(const MtpBenchResult& result, const MtpBenchOptions& options);

// As they were named; `reference` may be empty.
struct ComparedModels {
  std::string tested, reference;
};
std::string AsText(const PerplexityResult& result, const ComparedModels& models);
std::string AsJson(const PerplexityResult& result, const ComparedModels& models);

}  // namespace linnet
