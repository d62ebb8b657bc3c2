#include "linnet/quantise.h"

#include <fmt/format.h>

#include <memory>
#include <optional>

#include "base/cpu_info.h"
#include "base/memory_guard.h"
#include "quant/calibrate.h"
#include "quant/convert.h"
#include "quant/convert_metadata.h"

namespace linnet {
namespace {

std::string NamesOfMixes() {
  std::string names;
  for (const WeightMix& mix : Mixes()) names += (names.empty() ? "" : ", ") + std::string(mix.name);
  for (const DirectoryForm& form : DirectoryForms()) names += ", " + std::string(form.name);
  return names;
}

// "int4 g32", with offsets "uint4 g32".
std::string NameOf(const GroupFormat& format) {
  return fmt::format("{}int{} g{}", format.offset ? "u" : "", format.bits, format.group);
}

// A format for all matrices is a mix without exceptions.
Result<WeightMix> MixFor(const QuantiseOptions& options) {
  WeightMix mix;
  if (const WeightMix* known = MixOf(options.mix)) {
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
         matrix.groups ? NameOf(*matrix.groups) : std::string(GetDtypeInfo(matrix.after).name),
         RowBytes(matrix.before, matrix.elements), matrix.bytes(), loss.relative(),
         loss.blocks > 0 ? static_cast<double>(loss.exact) / static_cast<double>(loss.blocks) : 1.0});
  }
  return result;
}

// What is known of the inputs of the model's matrices.
struct Knowledge {
  std::optional<Importance> importance;
  std::unique_ptr<Calibration> calibration;
  std::vector<std::string> notes;
};

Status CheckCalibration(const QuantiseOptions& options) {
  const bool calibrated = !options.calibration.empty();
  if (calibrated && !options.importance.empty()) {
    return Fail(ErrorCode::kInvalidArgument, "importances are given, and texts to find them",
                "give one of them");
  }
  if (!calibrated && !options.reader.empty()) {
    return Fail(ErrorCode::kInvalidArgument, "a model is to read texts, but there are none",
                "give texts as well");
  }
  if (calibrated || options.save_importance.empty()) return {};
  return Fail(ErrorCode::kInvalidArgument,
              "importances are to be written, but there are no texts to find them", "give texts as well");
}

Result<Knowledge> Learn(const QuantiseOptions& options, const Progress& progress) {
  Knowledge knowledge;
  if (!options.importance.empty()) {
    LINNET_ASSIGN(knowledge.importance, Importance::Read(options.importance));
  }
  if (options.calibration.empty() || options.dry_run) return knowledge;
  CalibrateOptions calibrate;
  calibrate.model = options.reader.empty() ? options.input : options.reader;
  calibrate.texts = options.calibration;
  calibrate.rules.products = options.feedback;
  calibrate.threads = options.threads;
  LINNET_ASSIGN(CalibrationRun run, Calibrate(calibrate, progress));
  knowledge.importance = run.calibration->importance();
  knowledge.importance->chunks = static_cast<uint32_t>(run.windows);
  knowledge.importance->chunk_tokens = static_cast<uint32_t>(kCalibrationWindow);
  knowledge.importance->datasets = options.calibration;
  knowledge.importance->path = options.save_importance.empty() ? "calibrated" : options.save_importance;
  if (!options.save_importance.empty()) {
    LINNET_TRY(knowledge.importance->Write(options.save_importance));
  }
  if (options.feedback) knowledge.calibration = std::move(run.calibration);
  std::string note = "calibrated with " + std::to_string(run.tokens) + " tokens";
  if (run.media > 0) note += ", of " + std::to_string(run.media) + " media among others";
  if (options.feedback && run.columns > 0) {
    note += "; errors are made good within " + std::to_string(run.columns) +
            " columns, for more of them memory does not reach";
  }
  knowledge.notes = std::move(run.notes);
  knowledge.notes.push_back(std::move(note));
  return knowledge;
}

Result<QuantiseReport> Run(const QuantiseOptions& options, const Progress& progress) {
  const DirectoryForm* form = options.to_bytes > 0 ? nullptr : DirectoryFormOf(options.mix);
  if (form != nullptr && !options.table.empty()) {
    return Fail(ErrorCode::kInvalidArgument, "a format of the table is for GGUF files",
                "leave it out: directories have their own way with tables");
  }
  std::optional<Dtype> projections;
  if (!options.projections.empty()) {
    projections = DtypeFromName(options.projections);
    if (form != nullptr || !projections || !CanWrite(*projections)) {
      return Fail(ErrorCode::kInvalidArgument,
                  "'" + options.projections + "' is no format for the projections of pictures and sounds",
                  "give one that is written, for GGUF files (docs/formats.md)");
    }
  }
  LINNET_ASSIGN(const WeightMix mix, form != nullptr ? WeightMix{} : MixFor(options));
  LINNET_ASSIGN(const int threads, ThreadCount(options.threads));
  LINNET_TRY(CheckCalibration(options));
  ConvertOptions convert;
  convert.input = options.input;
  convert.output = options.output;
  convert.type = mix.bulk;
  convert.overwrite = options.overwrite;
  convert.mix = form == nullptr ? &mix : nullptr;
  convert.form = form;
  convert.projections = projections;
  convert.max_shard = options.max_shard;
  convert.to_bytes = options.to_bytes;
  convert.dry_run = options.dry_run;
  convert.will_have_importance = !options.calibration.empty();
  LINNET_TRY(CheckConversion(convert));
  LINNET_ASSIGN(Knowledge knowledge, Learn(options, progress));
  convert.importance = knowledge.importance ? &*knowledge.importance : nullptr;
  convert.calibration = knowledge.calibration.get();
  const std::shared_ptr<ThreadPool> pool = ThreadPool::Shared(threads);
  LINNET_ASSIGN(ConvertReport report, ConvertModel(convert, *pool, progress));
  report.notes.insert(report.notes.begin(), knowledge.notes.begin(), knowledge.notes.end());
  return Readable(std::move(report));
}

}  // namespace

std::vector<std::string> QuantiseDirectoryForms() {
  std::vector<std::string> names;
  for (const DirectoryForm& form : DirectoryForms()) names.emplace_back(form.name);
  return names;
}

std::vector<std::string> QuantiseMixes() {
  std::vector<std::string> names;
  for (const WeightMix& mix : Mixes()) names.emplace_back(mix.name);
  return names;
}

Result<QuantiseReport> Quantise(const QuantiseOptions& options, const Progress& progress) {
  return WithinMemory("quantising", "close other programs", [&] { return Run(options, progress); });
}

}  // namespace linnet
