#include "quant/convert.h"

#include <algorithm>
#include <filesystem>
#include <functional>
#include <memory>
#include <system_error>

#include "base/mapped_file.h"
#include "io/gguf_writer.h"
#include "model/config_files.h"
#include "model/model_files.h"
#include "model/tensor_names.h"
#include "quant/convert_directory.h"
#include "quant/convert_metadata.h"
#include "quant/item_writer.h"
#include "quant/synthetic.h"

namespace linnet {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSynthetic = "synthetic:";
constexpr char kNoVocabulary[] = "the input has no tokenizer.json, so the output has no vocabulary";

// Items of decoder tensors: matrices in the wanted format, the rest as float32.
Result<std::vector<Item>> DecoderItems(ItemWriter& converter, const TensorSource& source,
                                       const ModelConfig& config,
                                       const std::vector<ExpectedTensor>& expected) {
  const std::vector<float> rope = RopeFactors(config);
  std::vector<Item> items;
  for (const ExpectedTensor& tensor : expected) {
    Item item{GgufName(tensor.role, tensor.layer),           Dtype::kF32, tensor.shape, &source,
              FindTensor(source, tensor.role, tensor.layer), {}};
    if (tensor.role == Role::kTokenOrdering) {
      item.dtype = item.tensor->dtype;
    } else if (tensor.shape.size() == 1 && config.norm_adds_one && tensor.role != Role::kLayerScalar) {
      LINNET_ASSIGN(item.values, ReadFloats(source, tensor.role, tensor.layer));
      for (float& value : item.values) value += 1.0f;  // GGUF stores the sum
      item.tensor = nullptr;
    } else {
      item.matrix = tensor.shape.size() == 2;
    }
    items.push_back(std::move(item));
    if (tensor.role == Role::kFinalNorm && !rope.empty()) {
      items.push_back(
          {"rope_freqs.weight", Dtype::kF32, {static_cast<int64_t>(rope.size())}, nullptr, nullptr, rope});
    }
  }
  converter.ChooseFormats(items);
  return items;
}

bool IsProjection(Role role) { return role == Role::kVisionProjection || role == Role::kAudioProjection; }

// The multimodal tensors in GGUF's own order: planar patch vectors, position table [2, rows, width].
Result<std::vector<Item>> MultimodalItems(const ModelConfig& config, const TensorSource& source,
                                          const ConvertOptions& options) {
  std::vector<Item> items;
  for (const ExpectedTensor& tensor : MultimodalTensors(config)) {
    Item item{GgufName(tensor.role, -1),       Dtype::kF32, tensor.shape, &source,
              FindTensor(source, tensor.role), {}};
    if (IsProjection(tensor.role)) {
      if (options.projections) {
        item.dtype = TypeForRow(*options.projections, tensor.shape[1]);
        item.matrix = true;
      } else if (options.type != Dtype::kF32 && item.tensor->dtype != Dtype::kF32) {
        item.dtype = Dtype::kBf16;
      }
      items.push_back(std::move(item));
      continue;
    }
    LINNET_ASSIGN(std::vector<float> values, ReadFloats(source, tensor.role));
    item.tensor = nullptr;
    if (tensor.role == Role::kPositionTable) {
      const size_t rows = static_cast<size_t>(tensor.shape[0]), width = static_cast<size_t>(tensor.shape[2]);
      item.shape = {2, tensor.shape[0], tensor.shape[2]};
      item.values.resize(values.size());
      for (size_t row = 0; row < rows; ++row) {
        for (size_t axis = 0; axis < 2; ++axis) {
          std::copy_n(values.begin() + static_cast<std::ptrdiff_t>((2 * row + axis) * width), width,
                      item.values.begin() + static_cast<std::ptrdiff_t>((axis * rows + row) * width));
        }
      }
    } else if (tensor.role == Role::kPatchNorm1Weight || tensor.role == Role::kPatchNorm1Bias ||
               tensor.role == Role::kPatchDenseWeight) {
      item.values.resize(values.size());
      const size_t row = static_cast<size_t>(tensor.shape.back());
      for (size_t begin = 0; begin < values.size(); begin += row) {
        InterleavedToPlanar(std::span(values).subspan(begin, row),
                            std::span(item.values).subspan(begin, row));
      }
    } else {
      item.values = std::move(values);
    }
    items.push_back(std::move(item));
  }
  return items;
}

// Keys that describe the file rather than the model; the output has its own.
bool DescribesTheFile(std::string_view key) {
  return key == "general.file_type" || key == "general.quantization_version" || key == "general.alignment" ||
         key == kGgufScaleBf16 || key.starts_with("split.");
}

// What the file is called after: the mix, or the format of the first matrix where formats are kept.
uint32_t MainFileType(const TensorSource& source, const ConvertOptions& options) {
  if (options.mix != nullptr) return options.mix->file_type;
  const bool keep = options.keep_types || options.input.starts_with(kSynthetic);
  return FileType(keep ? FindTensor(source, Role::kQ, 0)->dtype : options.type);
}

// What other programs say of the importances that a file was made with.
void AddImportanceMetadata(const ConvertOptions& options, GgufWriter& writer) {
  if (options.importance == nullptr) return;
  const Importance& importance = *options.importance;
  writer.AddString("quantize.imatrix.file", importance.path);
  writer.AddString("quantize.imatrix.dataset",
                   importance.datasets.empty() ? "" : importance.datasets.front());
  writer.AddI32("quantize.imatrix.entries_count", static_cast<int32_t>(importance.size()));
  writer.AddI32("quantize.imatrix.chunks_count", static_cast<int32_t>(importance.chunks));
}

// A GGUF in another format: names and the other metadata as they are.
Status ConvertGguf(ItemWriter& converter, const ModelFiles& files, const ConvertOptions& options) {
  const Gguf& gguf = *files.gguf;
  LINNET_TRY(CheckTensors(*files.text, TextTensors(files.config), gguf.name()));
  GgufFiles output(options.output, options.max_shard);
  GgufWriter& writer = output.first();
  for (const auto& [key, value] : gguf.metadata().values()) {
    const bool of_formats = key.starts_with("quantize.") && !options.keep_types;  // how the input got its own
    if (!DescribesTheFile(key) && !of_formats) writer.AddValue(key, value);
  }
  // The factor on the embedding follows from the table's format, which may change here; the function must
  // not.
  writer.AddBool(kGgufScaleBf16, files.config.embed_scale_bf16);
  writer.AddU32("general.file_type", MainFileType(*files.text, options));
  writer.AddU32("general.quantization_version", 2);
  AddImportanceMetadata(options, writer);
  if (options.pack) writer.AddPackedLayout();
  std::vector<Item> items;
  for (const TensorInfo& tensor : files.text->tensors()) {
    if (tensor.bytes == 0 || tensor.shape.empty()) {
      return Fail(ErrorCode::kBadFile, gguf.name() + ": the tensor \"" + tensor.name + "\" holds nothing",
                  "the file is damaged");
    }
    Item item{tensor.name, tensor.dtype, tensor.shape, files.text.get(), &tensor, {}};
    // The multimodal tensors of a file that holds everything stay as they are, as those of a file of their
    // own do.
    const bool media = tensor.name.starts_with("v.") || tensor.name.starts_with("mm.");
    item.matrix = tensor.shape.size() == 2 && !media && !IsWholeNumbers(tensor.dtype);
    items.push_back(std::move(item));
  }
  converter.ChooseFormats(items);
  for (Item& item : items) {
    if (!options.projections || !(item.name == GgufName(Role::kVisionProjection, -1) ||
                                  item.name == GgufName(Role::kAudioProjection, -1))) {
      continue;
    }
    item.dtype = TypeForRow(*options.projections, item.shape.back());
    item.matrix = true;
  }
  LINNET_TRY(converter.WriteFiles(output, std::move(items)));
  return options.dry_run ? Status() : output.Finish();
}

bool IsSynthetic(const std::string& input) { return input.starts_with(kSynthetic); }

Result<ModelFiles> OpenInput(const std::string& input) {
  if (!IsSynthetic(input)) return OpenModel(input, "", "");
  LINNET_ASSIGN(SyntheticModel synthetic,
                MakeSynthetic(std::string_view(input).substr(kSynthetic.size()), true));
  ModelFiles files;
  files.config = std::move(synthetic.config);
  files.config.name = input;
  files.text = std::move(synthetic.source);
  files.multimodal = files.text.get();
  return files;
}

std::string MultimodalPath(const std::string& output) {
  const fs::path path(output);
  return (path.parent_path() / ("mmproj-" + path.filename().string())).string();
}

Status CheckNotPacked(const TensorSource& source, const std::string& name) {
  if (std::ranges::none_of(source.tensors(), &TensorInfo::packed)) return {};
  return Fail(ErrorCode::kInvalidArgument, name + " is packed for the kernels, which cannot be undone",
              "convert the file it was made from");
}

// Even --force never replaces a file that is being read, be it a part of a split file or the model's mmproj.
void ProtectInputs(ItemWriter& converter, const ModelFiles& files) {
  for (const TensorSource* source : {files.text.get(), files.multimodal_file.get(), files.drafter.get()}) {
    if (source != nullptr) converter.Protect(source->paths());
  }
}

// The template that lies in the model's directory; empty if there is none, or no directory (Chick, synthetic
// models).
Result<std::string> ReadChatTemplate(const ModelFiles& files) {
  const fs::path path = fs::path(files.path) / "chat_template.jinja";
  std::error_code error;
  if (files.kind != ModelFiles::Kind::kHuggingFace || !fs::is_regular_file(path, error)) return std::string();
  LINNET_ASSIGN(const MappedFile file, MappedFile::Open(path));
  return std::string(file.bytes().begin(), file.bytes().end());
}

// A file of what the model sees and hears with.
Status WriteMultimodal(ItemWriter& converter, const ModelFiles& files, const ConvertOptions& options) {
  LINNET_TRY(CheckTensors(*files.multimodal, MultimodalTensors(files.config), "the multimodal part"));
  GgufFiles output(MultimodalPath(options.output), 0);
  AddMultimodalMetadata(files.config, output.first());
  LINNET_ASSIGN(std::vector<Item> items, MultimodalItems(files.config, *files.multimodal, options));
  LINNET_TRY(converter.WriteFiles(output, std::move(items)));
  return options.dry_run ? Status() : output.Finish();
}

Status ConvertParts(ItemWriter& converter, const ModelFiles& files, const ConvertOptions& options) {
  const std::vector<ExpectedTensor> expected = TextTensors(files.config);
  LINNET_TRY(CheckTensors(*files.text, expected, "the text model"));
  GgufFiles output(options.output, options.max_shard);
  GgufWriter& writer = output.first();
  const bool synthetic = IsSynthetic(options.input);
  LINNET_TRY(AddTextMetadata(files, MainFileType(*files.text, options), writer));
  AddImportanceMetadata(options, writer);
  if (options.pack) writer.AddPackedLayout();
  if (synthetic) {
    AddPlaceholderVocabulary(files.config, writer);
  } else if (files.tokenizer_json.empty()) {
    converter.Note(kNoVocabulary);
  }
  LINNET_ASSIGN(const std::string jinja, ReadChatTemplate(files));
  if (!jinja.empty()) writer.AddString("tokenizer.chat_template", jinja);
  LINNET_ASSIGN(std::vector<Item> items, DecoderItems(converter, *files.text, files.config, expected));
  LINNET_TRY(converter.WriteFiles(output, std::move(items)));
  if (files.multimodal != nullptr && (files.config.vision.present || files.config.audio.present)) {
    LINNET_TRY(WriteMultimodal(converter, files, options));
  }
  return options.dry_run ? Status() : output.Finish();
}

bool SameDirectory(const fs::path& a, const fs::path& b) {
  std::error_code error;
  const auto directory = [](const fs::path& file) {
    return file.has_parent_path() ? file.parent_path() : fs::path(".");
  };
  return fs::equivalent(directory(a), directory(b), error);
}

// The multimodal file of a GGUF needs no conversion, unless its projections get another format; where the
// output's directory is another, it gets a copy.
Status KeepMultimodal(ItemWriter& converter, const ModelFiles& files, const ConvertOptions& options) {
  if (files.multimodal_file == nullptr) return {};
  if (options.projections) return WriteMultimodal(converter, files, options);
  if (SameDirectory(files.multimodal_path, options.output)) {
    converter.Note("the multimodal file " + files.multimodal_path + " serves the output too");
    return {};
  }
  const fs::path path = MultimodalPath(options.output), part = PartPath(path);
  std::error_code error;
  if (options.dry_run) {
    converter.report().files.push_back({path.string(), fs::file_size(files.multimodal_path, error)});
    return {};
  }
  fs::copy_file(files.multimodal_path, part, fs::copy_options::overwrite_existing, error);
  if (!error) fs::rename(part, path, error);
  if (error) {
    std::error_code ignored;
    fs::remove(part, ignored);
    return Fail(ErrorCode::kBadFile,
                "cannot copy " + files.multimodal_path + " to " + path.string() + ": " + error.message(),
                "copy it beside the output");
  }
  converter.report().files.push_back({path.string(), fs::file_size(path, error)});
  return {};
}

Status ConvertDrafter(ItemWriter& converter, const ModelFiles& files, const ConvertOptions& options) {
  const std::vector<ExpectedTensor> expected = DrafterTensors(*files.drafter_config);
  LINNET_TRY(CheckTensors(*files.drafter, expected, "the drafter"));
  LINNET_TRY(CheckExpressible(files.drafter_config->text));
  GgufFiles output(options.output, options.max_shard);
  GgufWriter& writer = output.first();
  LINNET_TRY(AddDrafterMetadata(files, MainFileType(*files.drafter, options), writer));
  if (options.pack) writer.AddPackedLayout();
  if (files.tokenizer_json.empty()) converter.Note(kNoVocabulary);
  LINNET_ASSIGN(std::vector<Item> items,
                DecoderItems(converter, *files.drafter, files.drafter_config->text, expected));
  LINNET_TRY(converter.WriteFiles(output, std::move(items)));
  return options.dry_run ? Status() : output.Finish();
}

Status Convert(ItemWriter& converter, const ConvertOptions& options) {
  const bool drafter = IsDrafterDirectory(options.input);
  LINNET_ASSIGN(const ModelFiles files,
                drafter ? OpenDrafterDirectory(options.input) : OpenInput(options.input));
  ProtectInputs(converter, files);
  if (!drafter) {
    LINNET_TRY(CheckNotPacked(*files.text, options.input));
  }
  if (options.form != nullptr) return ConvertDirectory(converter, files, options);
  LINNET_TRY(converter.CheckOutput(options.output));
  if (drafter) return ConvertDrafter(converter, files, options);
  if (IsSynthetic(options.input) && options.mix == nullptr) converter.KeepFormats();
  if (files.gguf != nullptr) {
    if (files.multimodal_file != nullptr &&
        (options.projections || !SameDirectory(files.multimodal_path, options.output))) {
      LINNET_TRY(converter.CheckOutput(MultimodalPath(options.output)));
    }
    LINNET_TRY(ConvertGguf(converter, files, options));
    return KeepMultimodal(converter, files, options);
  }
  if (files.config.vision.present || files.config.audio.present) {
    LINNET_TRY(converter.CheckOutput(MultimodalPath(options.output)));
  }
  return ConvertParts(converter, files, options);
}

}  // namespace

Status CheckConversion(const ConvertOptions& options) {
  const bool gguf = options.output.ends_with(".gguf");
  if (options.form != nullptr) {
    if (!gguf) return CheckNewDirectory(options.output);
    return Fail(ErrorCode::kInvalidArgument,
                std::string(options.form->name) + " is a form of directories, not of GGUF files",
                "name a directory, or choose a mix");
  }
  if (!gguf) {
    return Fail(ErrorCode::kInvalidArgument, "the output " + options.output + " does not end in .gguf",
                "name it so; directories have forms of their own (docs/formats.md)");
  }
  std::error_code error;
  if (options.dry_run || options.overwrite || !fs::exists(options.output, error)) return {};
  return Fail(ErrorCode::kInvalidArgument, options.output + " exists already",
              "give another name, or --force to replace it");
}

Result<ConvertReport> ConvertModel(const ConvertOptions& options, ThreadPool& pool,
                                   const Progress& progress) {
  LINNET_TRY(CheckConversion(options));
  ItemWriter converter(options, pool, progress);
  LINNET_TRY(Convert(converter, options));
  if (options.mix == nullptr && options.form == nullptr) converter.NoteLosses();
  return std::move(converter.report());
}

}  // namespace linnet
