#include "linnet/quantise.h"

#include <memory>
#include <optional>

#include "base/cpu_info.h"
#include "base/memory_guard.h"
#include "quant/convert.h"
#include "quant/convert_metadata.h"

namespace linnet {
namespace {

std::string NamesOfMixes() {
  std::string names;
  for (const Mix& mix : Mixes()) names += (names.empty() ? "" : ", ") + std::string(mix.name);
  return names;
}

// A format for all matrices is a mix without exceptions.
Result<Mix> MixFor(const QuantiseOptions& options) {
  Mix mix;
  if (const Mix* known = MixOf(options.mix)) {
    mix = *known;
  } else if (const auto type = DtypeFromName(options.mix); type && CanWrite(*type)) {
    mix = {options.mix, *type, *type, FileType(*type)};
  } else {
    return Fail(ErrorCode::kInvalidArgument, "'" + options.mix + "' is no mix of formats",
                "give one of " + NamesOfMixes() + ", or a format that is written (docs/formats.md)");
  }
  if (options.table.empty()) return mix;
  const auto table = DtypeFromName(options.table);
  if (!table || !CanWrite(*table)) {
    return Fail(ErrorCode::kInvalidArgument, "'" + options.table + "' is no format for the table",
                "give one that is written (docs/formats.md)");
  }
  mix.table = *table;
  return mix;
}

QuantiseReport Readable(ConvertReport report) {
  QuantiseReport result;
  result.notes = std::move(report.notes);
  for (ConvertedFile& file : report.files) result.files.push_back({std::move(file.path), file.bytes});
  for (ConvertedMatrix& matrix : report.matrices) {
    const EncodingLoss& loss = matrix.loss;
    result.matrices.push_back(
        {std::move(matrix.name), std::string(GetDtypeInfo(matrix.before).name),
         std::string(GetDtypeInfo(matrix.after).name), RowBytes(matrix.before, matrix.elements),
         matrix.bytes(), loss.relative(),
         loss.blocks > 0 ? static_cast<double>(loss.exact) / static_cast<double>(loss.blocks) : 1.0});
  }
  return result;
}

Result<QuantiseReport> Run(const QuantiseOptions& options, const Progress& progress) {
  LINNET_ASSIGN(const Mix mix, MixFor(options));
  LINNET_ASSIGN(const int threads, ThreadCount(options.threads));
  std::optional<Importance> importance;
  if (!options.importance.empty()) {
    LINNET_ASSIGN(importance, Importance::Read(options.importance));
  }
  const std::shared_ptr<ThreadPool> pool = ThreadPool::Shared(threads);
  ConvertOptions convert;
  convert.input = options.input;
  convert.output = options.output;
  convert.type = mix.bulk;
  convert.overwrite = options.overwrite;
  convert.mix = &mix;
  convert.importance = importance ? &*importance : nullptr;
  convert.dry_run = options.dry_run;
  LINNET_ASSIGN(ConvertReport report, ConvertModel(convert, *pool, progress));
  return Readable(std::move(report));
}

}  // namespace

std::vector<std::string> QuantiseMixes() {
  std::vector<std::string> names;
  for (const Mix& mix : Mixes()) names.emplace_back(mix.name);
  return names;
}

Result<QuantiseReport> Quantise(const QuantiseOptions& options, const Progress& progress) {
  return WithinMemory("quantising", "close other programs", [&] { return Run(options, progress); });
}

}  // namespace linnet
