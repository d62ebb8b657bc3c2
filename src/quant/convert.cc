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
#include "ops/matrix.h"
#include "quant/convert_metadata.h"
#include "quant/synthetic.h"
#include "tensor/block_format.h"

namespace linnet {
namespace {

namespace fs = std::filesystem;

// Values decoded at a time: memory stays bounded whatever the size of a matrix.
constexpr int64_t kChunkValues = int64_t{1} << 22;

constexpr char kNoVocabulary[] = "the input has no tokenizer.json, so the output has no vocabulary";

// One tensor of the output and where its numbers come from.
struct Item {
  std::string name;
  Dtype dtype;
  std::vector<int64_t> shape;
  const TensorSource* source = nullptr;
  const TensorInfo* tensor = nullptr;  // copied or re-encoded row by row
  std::vector<float> values;           // or these, for what is small or reordered
  bool packed = false;                 // written in the kernels' layout
};

class Converter {
 public:
  Converter(const ConvertOptions& options, ThreadPool& pool, const Progress& progress)
      : options_(options), pool_(pool), progress_(progress), keep_(options.keep_types) {}

  // Matrices keep the format they have.
  void KeepFormats() { keep_ = true; }

  // The format of a matrix of the decoder. Packed, it is one that has kernels.
  Dtype MatrixType(const std::string& name, const TensorInfo& tensor, bool embedding) {
    if (keep_) return options_.pack ? GetDtypeInfo(tensor.dtype).held : tensor.dtype;
    return MatrixType(name, tensor.shape[1], embedding);
  }

  // The format of a matrix with this row length.
  Dtype MatrixType(const std::string& name, int64_t row, bool embedding) {
    Dtype type = options_.type;
    if (embedding && type == Dtype::kQ4_0) type = Dtype::kQ8_0;
    if (row % GetDtypeInfo(type).block_elements == 0) {
      if (type != options_.type) {
        Note("the embedding table is stored as q8_0: it is also the head");
      }
      return type;
    }
    Note(name + " and others with rows of " + std::to_string(row) +
         " stay bf16: no multiple of the block of " + std::to_string(GetDtypeInfo(type).block_elements));
    return Dtype::kBf16;
  }

  void Note(std::string note) {
    if (std::find(report_.notes.begin(), report_.notes.end(), note) == report_.notes.end()) {
      report_.notes.push_back(std::move(note));
    }
  }

  Status WriteFile(GgufWriter& writer, const std::string& path, const std::vector<Item>& items) {
    uint64_t total = 1, done = 0;
    for (const Item& item : items) {
      writer.AddTensor(item.name, item.dtype, item.shape, item.packed);
      total += Elements(item.shape);
    }
    LINNET_TRY(writer.Begin());
    for (const Item& item : items) {
      LINNET_TRY(item.tensor != nullptr ? WriteTensor(writer, item) : WriteValues(writer, item, item.values));
      done += Elements(item.shape);
      if (progress_) progress_(static_cast<double>(done) / static_cast<double>(total), "writing " + path);
    }
    LINNET_ASSIGN(const uint64_t bytes, writer.Finish());
    report_.files.push_back({path, bytes});
    return {};
  }

  ConvertReport& report() { return report_; }
  bool pack() const { return options_.pack; }

 private:
  static uint64_t Elements(const std::vector<int64_t>& shape) {
    uint64_t n = 1;
    for (const int64_t size : shape) n *= static_cast<uint64_t>(size);
    return n;
  }

  // Encodes whole rows on all threads.
  Status WriteValues(GgufWriter& writer, const Item& item, std::span<const float> values) {
    const Dtype dtype = item.dtype;
    const int64_t row = item.shape.back();
    const uint64_t row_bytes = RowBytes(dtype, static_cast<uint64_t>(row));
    const int64_t rows = static_cast<int64_t>(values.size()) / row;
    encoded_.resize(static_cast<size_t>(rows) * row_bytes);
    pool_.For(rows, [&](int64_t begin, int64_t end, int) {
      for (int64_t r = begin; r < end; ++r) {
        EncodeRow(dtype, values.subspan(static_cast<size_t>(r * row), static_cast<size_t>(row)),
                  encoded_.data() + static_cast<size_t>(r) * row_bytes);
      }
    });
    return WriteRows(writer, item, encoded_);
  }

  // Whole rows in the item's format; of a packed item whole panels, but for the last.
  Status WriteRows(GgufWriter& writer, const Item& item, std::span<const uint8_t> rows) {
    if (!item.packed) return writer.Write(rows);
    const int64_t k = item.shape.back();
    const PanelFormat format = *PanelFormatOf(item.dtype);
    const size_t sixteen = kPanel * RowBytes(item.dtype, static_cast<uint64_t>(k));
    const size_t panel_bytes = static_cast<size_t>(PanelBytes(format, k));
    const size_t panels = (rows.size() + sixteen - 1) / sixteen;
    packed_.resize(panels * panel_bytes);
    pool_.For(static_cast<int64_t>(panels), [&](int64_t begin, int64_t end, int) {
      for (size_t p = static_cast<size_t>(begin); p < static_cast<size_t>(end); ++p) {
        const size_t length = std::min(sixteen, rows.size() - p * sixteen);
        PackRows(item.dtype, rows.subspan(p * sixteen, length), format, k, packed_.data() + p * panel_bytes);
      }
    });
    return writer.Write(packed_);
  }

  Status WriteTensor(GgufWriter& writer, const Item& item) {
    const int64_t row = item.shape.back();
    const int64_t rows = static_cast<int64_t>(Elements(item.shape)) / row;
    const uint64_t row_bytes = RowBytes(item.tensor->dtype, static_cast<uint64_t>(row));
    const int64_t step = std::max<int64_t>(1, kChunkValues / (row * kPanel)) * kPanel;
    std::vector<uint8_t> scratch;
    for (int64_t first = 0; first < rows; first += step) {
      const int64_t count = std::min(step, rows - first);
      const uint64_t offset = static_cast<uint64_t>(first) * row_bytes,
                     length = static_cast<uint64_t>(count) * row_bytes;
      const std::span<const uint8_t> bytes = item.source->Bytes(*item.tensor, offset, length, scratch);
      const Dtype stored = item.tensor->dtype;
      if (stored == item.dtype) {
        LINNET_TRY(WriteRows(writer, item, bytes));
      } else if (GetDtypeInfo(stored).held == item.dtype) {
        encoded_.resize(RowBytes(item.dtype, static_cast<uint64_t>(count * row)));
        RecodeRow(stored, bytes.data(), static_cast<size_t>(count * row), encoded_.data());
        LINNET_TRY(WriteRows(writer, item, encoded_));
      } else {
        decoded_.resize(static_cast<size_t>(count * row));
        pool_.For(count, [&](int64_t begin, int64_t end, int) {
          for (int64_t r = begin; r < end; ++r) {
            DecodeRow(item.tensor->dtype, bytes.data() + static_cast<size_t>(r) * row_bytes,
                      std::span(decoded_).subspan(static_cast<size_t>(r * row), static_cast<size_t>(row)));
          }
        });
        LINNET_TRY(WriteValues(writer, item, decoded_));
      }
      item.source->Forget(*item.tensor, offset, length);
    }
    return {};
  }

  const ConvertOptions& options_;
  ThreadPool& pool_;
  const Progress& progress_;
  ConvertReport report_;
  bool keep_;
  std::vector<uint8_t> encoded_, packed_;
  std::vector<float> decoded_;
};

// Items of decoder tensors: matrices in the wanted format, the rest as float32.
Result<std::vector<Item>> DecoderItems(Converter& converter, const TensorSource& source,
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
    } else if (tensor.shape.size() == 2) {
      item.dtype = converter.MatrixType(item.name, *item.tensor, tensor.role == Role::kEmbedding);
      item.packed = converter.pack();
    }
    items.push_back(std::move(item));
    if (tensor.role == Role::kFinalNorm && !rope.empty()) {
      items.push_back(
          {"rope_freqs.weight", Dtype::kF32, {static_cast<int64_t>(rope.size())}, nullptr, nullptr, rope});
    }
  }
  return items;
}

// The multimodal tensors in GGUF's own order: planar patch vectors, position table [2, rows, width].
Result<std::vector<Item>> MultimodalItems(const ModelConfig& config, const TensorSource& source,
                                          bool all_float) {
  std::vector<Item> items;
  for (const ExpectedTensor& tensor : MultimodalTensors(config)) {
    LINNET_ASSIGN(std::vector<float> values, ReadFloats(source, tensor.role));
    Item item{GgufName(tensor.role, -1), Dtype::kF32, tensor.shape, nullptr, nullptr, {}};
    const bool projection = tensor.role == Role::kVisionProjection || tensor.role == Role::kAudioProjection;
    const Dtype stored = FindTensor(source, tensor.role)->dtype;
    if (projection && !all_float && stored != Dtype::kF32) item.dtype = Dtype::kBf16;
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

// What the file is called after: the format of the first matrix where formats are kept.
Dtype MainType(const TensorSource& source, const ConvertOptions& options) {
  return options.keep_types ? FindTensor(source, Role::kQ, 0)->dtype : options.type;
}

// A GGUF in another format: names and the other metadata as they are.
Status ConvertGguf(Converter& converter, const ModelFiles& files, const ConvertOptions& options) {
  const Gguf& gguf = *files.gguf;
  LINNET_TRY(CheckTensors(*files.text, TextTensors(files.config), gguf.name()));
  GgufWriter writer(options.output);
  for (const auto& [key, value] : gguf.metadata().values()) {
    if (!DescribesTheFile(key)) writer.AddValue(key, value);
  }
  // The factor on the embedding follows from the table's format, which may change here; the function must
  // not.
  writer.AddBool(kGgufScaleBf16, files.config.embed_scale_bf16);
  writer.AddU32("general.file_type", FileType(MainType(*files.text, options)));
  writer.AddU32("general.quantization_version", 2);
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
    if (tensor.shape.size() == 2 && !media && !IsWholeNumbers(tensor.dtype)) {
      item.dtype = converter.MatrixType(tensor.name, tensor, tensor.name == "token_embd.weight");
      item.packed = options.pack;
    }
    items.push_back(std::move(item));
  }
  return converter.WriteFile(writer, options.output, items);
}

constexpr std::string_view kSynthetic = "synthetic:";

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

Status CheckOutput(const ConvertOptions& options, const std::string& path) {
  std::error_code error;
  if (!fs::exists(path, error) || options.overwrite) return {};
  return Fail(ErrorCode::kInvalidArgument, path + " exists already",
              "give another name, or --force to replace it");
}

Status CheckNotPacked(const TensorSource& source, const std::string& name) {
  if (std::ranges::none_of(source.tensors(), &TensorInfo::packed)) return {};
  return Fail(ErrorCode::kInvalidArgument, name + " is packed for the kernels, which cannot be undone",
              "convert the file it was made from");
}

// Even --force never replaces a file that is being read, be it a part of a split file or the model's mmproj.
Status CheckNotInput(const ModelFiles& files, const std::string& output) {
  for (const TensorSource* source : {files.text.get(), files.multimodal_file.get(), files.drafter.get()}) {
    if (source == nullptr) continue;
    for (const fs::path& path : source->paths()) {
      std::error_code error;
      if (fs::equivalent(path, output, error)) {
        return Fail(ErrorCode::kInvalidArgument, output + " is part of the input", "give another output");
      }
    }
  }
  return {};
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

Status ConvertParts(Converter& converter, const ModelFiles& files, const ConvertOptions& options) {
  const std::vector<ExpectedTensor> expected = TextTensors(files.config);
  LINNET_TRY(CheckTensors(*files.text, expected, "the text model"));
  GgufWriter writer(options.output);
  const bool synthetic = IsSynthetic(options.input);
  LINNET_TRY(AddTextMetadata(
      files, synthetic ? FindTensor(*files.text, Role::kQ, 0)->dtype : MainType(*files.text, options),
      writer));
  if (options.pack) writer.AddPackedLayout();
  if (synthetic) {
    AddPlaceholderVocabulary(files.config, writer);
  } else if (files.tokenizer_json.empty()) {
    converter.Note(kNoVocabulary);
  }
  LINNET_ASSIGN(const std::string jinja, ReadChatTemplate(files));
  if (!jinja.empty()) writer.AddString("tokenizer.chat_template", jinja);
  LINNET_ASSIGN(const std::vector<Item> items, DecoderItems(converter, *files.text, files.config, expected));
  LINNET_TRY(converter.WriteFile(writer, options.output, items));
  if (files.multimodal == nullptr || (!files.config.vision.present && !files.config.audio.present)) return {};
  LINNET_TRY(CheckTensors(*files.multimodal, MultimodalTensors(files.config), "the multimodal part"));
  const std::string path = MultimodalPath(options.output);
  GgufWriter multimodal(path);
  AddMultimodalMetadata(files.config, multimodal);
  LINNET_ASSIGN(const std::vector<Item> media,
                MultimodalItems(files.config, *files.multimodal, options.type == Dtype::kF32));
  return converter.WriteFile(multimodal, path, media);
}

bool SameDirectory(const fs::path& a, const fs::path& b) {
  std::error_code error;
  const auto directory = [](const fs::path& file) {
    return file.has_parent_path() ? file.parent_path() : fs::path(".");
  };
  return fs::equivalent(directory(a), directory(b), error);
}

// The multimodal file of a GGUF needs no conversion; where the output's directory is another, it gets a copy.
Status KeepMultimodal(Converter& converter, const ModelFiles& files, const ConvertOptions& options) {
  if (files.multimodal_file == nullptr) return {};
  if (SameDirectory(files.multimodal_path, options.output)) {
    converter.Note("the multimodal file " + files.multimodal_path + " serves the output too");
    return {};
  }
  const fs::path path = MultimodalPath(options.output), part = PartPath(path);
  std::error_code error;
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

Status ConvertDrafter(Converter& converter, const ModelFiles& files, const ConvertOptions& options) {
  const std::vector<ExpectedTensor> expected = DrafterTensors(*files.drafter_config);
  LINNET_TRY(CheckTensors(*files.drafter, expected, "the drafter"));
  LINNET_TRY(CheckExpressible(files.drafter_config->text));
  GgufWriter writer(options.output);
  LINNET_TRY(AddDrafterMetadata(files, MainType(*files.drafter, options), writer));
  if (options.pack) writer.AddPackedLayout();
  if (files.tokenizer_json.empty()) converter.Note(kNoVocabulary);
  LINNET_ASSIGN(const std::vector<Item> items,
                DecoderItems(converter, *files.drafter, files.drafter_config->text, expected));
  return converter.WriteFile(writer, options.output, items);
}

}  // namespace

Result<ConvertReport> ConvertModel(const ConvertOptions& options, ThreadPool& pool,
                                   const Progress& progress) {
  if (!options.output.ends_with(".gguf")) {
    return Fail(ErrorCode::kInvalidArgument, "the output " + options.output + " does not end in .gguf",
                "name it so");
  }
  LINNET_TRY(CheckOutput(options, options.output));
  Converter converter(options, pool, progress);
  if (IsDrafterDirectory(options.input)) {
    LINNET_ASSIGN(const ModelFiles files, OpenDrafterDirectory(options.input));
    LINNET_TRY(CheckNotInput(files, options.output));
    LINNET_TRY(ConvertDrafter(converter, files, options));
    return std::move(converter.report());
  }
  LINNET_ASSIGN(const ModelFiles files, OpenInput(options.input));
  LINNET_TRY(CheckNotPacked(*files.text, options.input));
  if (IsSynthetic(options.input)) converter.KeepFormats();
  LINNET_TRY(CheckNotInput(files, options.output));
  if (files.gguf != nullptr) {
    if (files.multimodal_file != nullptr && !SameDirectory(files.multimodal_path, options.output)) {
      LINNET_TRY(CheckOutput(options, MultimodalPath(options.output)));
      LINNET_TRY(CheckNotInput(files, MultimodalPath(options.output)));
    }
    LINNET_TRY(ConvertGguf(converter, files, options));
    LINNET_TRY(KeepMultimodal(converter, files, options));
    return std::move(converter.report());
  }
  if (files.config.vision.present || files.config.audio.present) {
    LINNET_TRY(CheckOutput(options, MultimodalPath(options.output)));
    LINNET_TRY(CheckNotInput(files, MultimodalPath(options.output)));
  }
  LINNET_TRY(ConvertParts(converter, files, options));
  return std::move(converter.report());
}

}  // namespace linnet
