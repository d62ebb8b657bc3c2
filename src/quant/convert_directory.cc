#include "quant/convert_directory.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <system_error>

#include <nlohmann/json.hpp>

#include "base/mapped_file.h"
#include "base/write_file.h"
#include "io/file_tensors.h"
#include "model/tensor_names.h"

namespace linnet {
namespace {

namespace fs = std::filesystem;
using OrderedJson = nlohmann::ordered_json;

// As the loaders of both families cut their own files.
constexpr uint64_t kUsualShardBytes = 5'000'000'000;

// The model at hand: a drafter's directory holds nothing else.
struct DirectoryModel {
  fs::path path;
  const TensorSource* source = nullptr;
  std::vector<ExpectedTensor> tensors;
  std::string prefix;  // of the text model's names
};

DirectoryModel ModelIn(const ModelFiles& files, const OrderedJson& config, bool mlx) {
  DirectoryModel model;
  if (files.text == nullptr) {
    model = {files.drafter_path, files.drafter.get(), DrafterTensors(*files.drafter_config),
             std::string(kDrafterPrefix)};
    return model;
  }
  const bool nested = config.contains("text_config");
  model = {files.path, files.text.get(), TextTensors(files.config), "model."};
  if (nested) model.prefix = mlx ? "language_model.model." : std::string(kModelPrefix);
  if (files.multimodal == files.text.get()) {
    const std::vector<ExpectedTensor> media = MultimodalTensors(files.config);
    model.tensors.insert(model.tensors.end(), media.begin(), media.end());
  }
  return model;
}

// MLX quantises tables and the projection of sounds as well; what sees stays as it is in both.
bool IsQuantised(const ExpectedTensor& tensor, const DirectoryForm& form) {
  if (tensor.shape.size() != 2 || tensor.shape[1] % form.groups.group != 0) return false;
  switch (tensor.role) {
    case Role::kPatchDenseWeight:
    case Role::kVisionProjection:
    case Role::kCentroids:
      return false;
    case Role::kEmbedding:
    case Role::kAudioProjection:
      return form.mlx;
    default:
      return true;
  }
}

std::string NameIn(const DirectoryModel& model, const ExpectedTensor& tensor, bool mlx) {
  std::string name = HfName(tensor.role, tensor.layer, model.prefix);
  constexpr std::string_view kModel = "model.";
  const bool text = name.starts_with(model.prefix);
  return mlx && !text && name.starts_with(kModel) ? name.substr(kModel.size()) : name;
}

// "X" of "X.weight".
std::string ModuleOf(const std::string& name) {
  constexpr std::string_view kWeight = ".weight";
  return name.ends_with(kWeight) ? name.substr(0, name.size() - kWeight.size()) : name;
}

std::vector<ItemPart> PartsOfGroups(const std::string& module, const Item& item, const DirectoryForm& form) {
  const int64_t rows = item.shape[0], width = item.shape[1];
  const std::vector<int64_t> words = {rows, width * form.groups.bits / 32};
  const std::vector<int64_t> groups = {rows, width / form.groups.group};
  if (form.mlx) {
    return {{module + ".weight", Dtype::kU32, words},
            {module + ".scales", Dtype::kBf16, groups},
            {module + ".biases", Dtype::kBf16, groups}};
  }
  return {{module + ".weight_packed", Dtype::kI32, words},
          {module + ".weight_scale", Dtype::kBf16, groups},
          {module + ".weight_shape", Dtype::kI64, {2}}};
}

// Tensors of other than whole 8 bytes come last, those of larger elements first, so that none lies askew.
int PlaceOf(const Item& item) {
  const auto whole = [](const ItemPart& part) {
    return TensorBytes(part.dtype, part.shape).value_or(0) % 8 == 0;
  };
  if (std::ranges::all_of(item.parts, whole)) return 0;
  return 9 - static_cast<int>(GetDtypeInfo(item.parts.front().dtype).block_bytes);
}

struct DirectoryItems {
  std::vector<Item> items;
  std::vector<std::string> plain;  // modules that stay as they are
};

DirectoryItems ItemsOf(ItemWriter& writer, const DirectoryModel& model, const DirectoryForm& form) {
  DirectoryItems result;
  std::set<const TensorInfo*> used;
  for (const ExpectedTensor& expected : model.tensors) {
    const TensorInfo* tensor = FindTensor(*model.source, expected.role, expected.layer);
    used.insert(tensor);
    Item item{
        GgufName(expected.role, expected.layer), tensor->dtype, expected.shape, model.source, tensor, {}};
    const std::string name = NameIn(model, expected, form.mlx);
    item.matrix = expected.shape.size() == 2;
    if (IsQuantised(expected, form)) {
      item.groups = form.groups;
      item.shape_part = !form.mlx;
      item.parts = PartsOfGroups(ModuleOf(name), item, form);
    } else {
      if (GetDtypeInfo(item.dtype).block_elements > 1 || item.dtype == Dtype::kF8E4m3) {
        item.dtype = Dtype::kBf16;
      }
      item.parts = {{name, item.dtype, item.shape}};
      if (item.matrix && expected.role != Role::kEmbedding) result.plain.push_back(ModuleOf(name));
    }
    result.items.push_back(std::move(item));
  }
  std::ranges::stable_sort(result.items, {}, PlaceOf);
  for (const TensorInfo& tensor : model.source->tensors()) {
    if (!used.contains(&tensor))
      writer.Note("\"" + tensor.name + "\" is left out: the model has no use for it");
  }
  return result;
}

// How each family's loaders are told (docs/formats.md).
void SayHow(OrderedJson& config, const DirectoryForm& form, const std::vector<std::string>& plain) {
  for (const char* key : {"quantization_config", "quantization", "compression_config"}) {
    config.erase(key);
    if (config.contains("text_config") && config["text_config"].is_object()) config["text_config"].erase(key);
  }
  if (form.mlx) {
    const OrderedJson said = {
        {"group_size", form.groups.group}, {"bits", form.groups.bits}, {"mode", "affine"}};
    config["quantization"] = said;
    config["quantization_config"] = said;
    return;
  }
  OrderedJson ignored = plain;
  ignored.push_back("lm_head");
  const OrderedJson weights = {
      {"num_bits", form.groups.bits},    {"type", "int"},   {"symmetric", true}, {"strategy", "group"},
      {"group_size", form.groups.group}, {"dynamic", false}};
  const OrderedJson group = {{"targets", {"Linear"}},
                             {"weights", weights},
                             {"input_activations", nullptr},
                             {"output_activations", nullptr},
                             {"format", "pack-quantized"}};
  config["quantization_config"] = {{"quant_method", "compressed-tensors"},
                                   {"format", "pack-quantized"},
                                   {"quantization_status", "compressed"},
                                   {"config_groups", {{"group_0", group}}},
                                   {"ignore", ignored},
                                   {"kv_cache_scheme", nullptr}};
}

// What a directory holds beside its weights: vocabulary, templates, settings of media and of generation.
bool ComesAlong(const fs::path& file) {
  const std::string name = file.filename().string(), ending = file.extension().string();
  if (name == "config.json" || name == "hf_quant_config.json" || name.ends_with(".index.json")) return false;
  return ending == ".json" || ending == ".jinja" || ending == ".txt" || ending == ".model";
}

Status CopyOthers(const fs::path& from, const fs::path& to) {
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(from, error)) {
    std::error_code ignored;
    if (!entry.is_regular_file(ignored) || !ComesAlong(entry.path())) continue;
    fs::copy_file(entry.path(), to / entry.path().filename(), fs::copy_options::overwrite_existing, error);
    if (error) break;
  }
  if (!error) return {};
  return Fail(ErrorCode::kBadFile,
              "cannot copy the files of " + from.string() + " to " + to.string() + ": " + error.message(),
              "check the directory, its permissions and the free space");
}

fs::path WithoutSlash(const std::string& output) {
  const fs::path path(output);
  return path.has_filename() ? path : path.parent_path();
}

Result<OrderedJson> ReadConfig(const fs::path& directory) {
  LINNET_ASSIGN(const MappedFile file, MappedFile::Open(directory / "config.json"));
  OrderedJson config = OrderedJson::parse(file.bytes().begin(), file.bytes().end(), nullptr, false);
  if (config.is_object()) return config;
  return Fail(ErrorCode::kBadFile, file.path().string() + " is no JSON object", "the file is damaged");
}

}  // namespace

Status CheckNewDirectory(const std::string& output) {
  std::error_code error;
  const fs::path path = WithoutSlash(output);
  if (!fs::exists(path, error) || (fs::is_directory(path, error) && fs::is_empty(path, error))) return {};
  return Fail(ErrorCode::kInvalidArgument, path.string() + " exists already",
              "give the name of a new directory: one that holds something is not replaced");
}

Status ConvertDirectory(ItemWriter& writer, const ModelFiles& files, const ConvertOptions& options) {
  const DirectoryForm& form = *options.form;
  const bool drafter = files.text == nullptr;
  if (!drafter && files.kind != ModelFiles::Kind::kHuggingFace) {
    return Fail(ErrorCode::kInvalidArgument,
                std::string(form.name) + " is a form of directories, and the input is none",
                "give the model's directory: config.json and the vocabulary come from there");
  }
  LINNET_ASSIGN(OrderedJson config, ReadConfig(drafter ? files.drafter_path : files.path));
  const DirectoryModel model = ModelIn(files, config, form.mlx);
  LINNET_TRY(CheckTensors(*model.source, model.tensors, model.path.string()));
  DirectoryItems made = ItemsOf(writer, model, form);
  SayHow(config, form, made.plain);
  const fs::path output = WithoutSlash(options.output);
  SafetensorsFiles weights(output, form.mlx ? "mlx" : "pt",
                           options.max_shard > 0 ? options.max_shard : kUsualShardBytes);
  if (!options.dry_run && output.has_parent_path()) {
    LINNET_TRY(MakeDirectory(output.parent_path()));
  }
  LINNET_TRY(writer.WriteFiles(weights, std::move(made.items)));
  for (ConvertedFile& file : writer.report().files) {
    file.path = (output / fs::path(file.path).filename()).string();
  }
  if (options.dry_run) return {};
  LINNET_TRY(weights.Finish());
  LINNET_TRY(CopyOthers(model.path, weights.Directory()));
  LINNET_TRY(WriteWholeFile(weights.Directory() / "config.json", config.dump(2) + "\n"));
  if (const std::string index = weights.Index(); !index.empty()) {
    LINNET_TRY(WriteWholeFile(weights.Directory() / "model.safetensors.index.json", index));
  }
  return weights.Publish();
}

}  // namespace linnet
