#include "model/model_files.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <system_error>
#include <vector>

#include "base/mapped_file.h"
#include "io/quantised_tensors.h"
#include "io/safetensors.h"
#include "io/scaled_gguf.h"
#include "model/chick.h"
#include "model/config_files.h"
#include "model/tensor_names.h"

namespace linnet {
namespace {

namespace fs = std::filesystem;

constexpr const char* kWhatToGive =
    "give a Hugging Face directory, a GGUF file, a directory of GGUF files, or nothing for the built-in "
    "Chick";

std::string_view AsText(std::span<const uint8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

bool IsFile(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path, error);
}

bool IsDirectory(const fs::path& path) {
  std::error_code error;
  return fs::is_directory(path, error);
}

// The entries of a directory in a fixed order; empty when it cannot be read.
std::vector<fs::path> Entries(const fs::path& directory) {
  std::vector<fs::path> paths;
  std::error_code error;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    paths.push_back(it->path());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

bool IsGitLfsPointer(const fs::path& path) { return DescribeFile(path) == "a Git LFS pointer"; }

// A small text file whole, or empty when it is not there.
Result<std::string> ReadSmall(const fs::path& path) {
  if (!IsFile(path)) return std::string();
  LINNET_ASSIGN(const MappedFile file, MappedFile::Open(path));
  return std::string(AsText(file.bytes()));
}

// sqrt(D) is rounded to bf16 where the reference would hold the table as bf16.
Status SetEmbedScale(ModelFiles& files) {
  const TensorInfo* table = FindTensor(*files.text, Role::kEmbedding);
  files.config.embed_scale_bf16 = table != nullptr && table->dtype == Dtype::kBf16 && !table->computed;
  if (files.gguf != nullptr) {
    LINNET_ASSIGN(const std::optional<bool> said, files.gguf->metadata().GetBool(kGgufScaleBf16));
    if (said) files.config.embed_scale_bf16 = *said;
  }
  return {};
}

Result<std::unique_ptr<Safetensors>> OpenStored(const fs::path& directory) {
  if (IsFile(directory / "model.safetensors")) return Safetensors::Open(directory / "model.safetensors");
  if (IsFile(directory / "model.safetensors.index.json")) {
    return Safetensors::OpenSharded(directory / "model.safetensors.index.json");
  }
  // Shards without their index may be pointers, which say so.
  for (const fs::path& path : Entries(directory)) {
    if (path.extension() == ".safetensors") LINNET_TRY(MappedFile::Open(path));
  }
  return Fail(ErrorCode::kNotFound,
              directory.string() +
                  " has a config.json but neither model.safetensors nor model.safetensors.index.json",
              "download the weights into it");
}

// The weights of a directory, quantised or not. `quantisation` is what its configuration says of them.
Result<std::unique_ptr<TensorSource>> OpenWeights(const fs::path& directory, const std::string& config,
                                                  Quantisation& quantisation) {
  LINNET_ASSIGN(const std::string beside, ReadSmall(directory / "hf_quant_config.json"));
  Result<Quantisation> read = ReadQuantisation(config, beside);
  if (!read) return Prefixed(directory.string(), read.error());
  quantisation = std::move(*read);
  LINNET_ASSIGN(std::unique_ptr<Safetensors> stored, OpenStored(directory));
  Result<std::unique_ptr<TensorSource>> weights = Dequantised(std::move(stored), quantisation);
  if (!weights) return Prefixed(directory.string(), weights.error());
  return weights;
}

Status OpenHfDrafter(const fs::path& directory, ModelFiles& files) {
  LINNET_ASSIGN(const std::string config, ReadSmall(directory / "config.json"));
  LINNET_ASSIGN(const std::string generation, ReadSmall(directory / "generation_config.json"));
  LINNET_ASSIGN(files.drafter_config, DrafterFromJson({config, generation, ""}));
  Quantisation own;
  LINNET_ASSIGN(files.drafter, OpenWeights(directory, config, own));
  files.drafter_path = directory.string();
  return {};
}

bool IsHfDrafter(const fs::path& directory) {
  const Result<std::string> config = ReadSmall(directory / "config.json");
  return config && ModelTypeOf(*config).ends_with("_assistant");
}

// The drafter of a directory: in it, or beside it under the same name with something appended. Of another
// width it belongs to another model.
Status FindHfDrafter(const fs::path& directory, ModelFiles& files) {
  std::vector<fs::path> candidates;
  for (const fs::path& path : Entries(directory)) {
    if (IsDirectory(path) && IsHfDrafter(path)) candidates.push_back(path);
  }
  const fs::path clean = fs::absolute(directory).lexically_normal();
  const fs::path self = clean.has_filename() ? clean : clean.parent_path();
  for (const fs::path& path : Entries(self.parent_path())) {
    const bool named_after = path.filename().string().starts_with(self.filename().string());
    if (path != self && named_after && IsDirectory(path) && IsHfDrafter(path)) candidates.push_back(path);
  }
  for (const fs::path& path : candidates) {
    if (const Status opened = OpenHfDrafter(path, files); !opened) {
      const fs::path weights = path / "model.safetensors";
      if (IsFile(weights) && IsGitLfsPointer(weights)) files.not_fetched.push_back(opened.error().Message());
      continue;
    }
    if (files.drafter_config->backbone_hidden_size == files.config.hidden_size) return {};
  }
  files.drafter.reset();
  files.drafter_config.reset();
  files.drafter_path.clear();
  return {};
}

Result<ModelFiles> OpenHuggingFace(const fs::path& directory) {
  ModelFiles files;
  files.kind = ModelFiles::Kind::kHuggingFace;
  files.path = directory.string();
  LINNET_ASSIGN(const std::string config, ReadSmall(directory / "config.json"));
  LINNET_ASSIGN(const std::string generation, ReadSmall(directory / "generation_config.json"));
  LINNET_ASSIGN(const std::string processor, ReadSmall(directory / "processor_config.json"));
  Result<ModelConfig> parsed = ConfigFromJson({config, generation, processor});
  if (!parsed) return Prefixed(directory.string(), std::move(parsed.error()));
  files.config = std::move(*parsed);
  LINNET_ASSIGN(files.text, OpenWeights(directory, config, files.quantisation));
  files.multimodal = files.text.get();
  LINNET_ASSIGN(files.tokenizer_json, ReadSmall(directory / "tokenizer.json"));
  LINNET_ASSIGN(files.prompts_json, ReadSmall(directory / "prompts.json"));
  LINNET_TRY(SetEmbedScale(files));
  return files;
}

Result<ModelFiles> OpenBuiltIn() {
  ModelFiles files;
  LINNET_ASSIGN(files.config,
                ConfigFromJson({AsText(ChickFile("config.json")), AsText(ChickFile("generation_config.json")),
                                AsText(ChickFile("processor_config.json"))}));
  LINNET_ASSIGN(files.text, Safetensors::FromBytes(ChickFile("model.safetensors"), "the built-in Chick"));
  files.multimodal = files.text.get();
  files.tokenizer_json = AsText(ChickFile("tokenizer.json"));
  files.prompts_json = AsText(ChickFile("prompts.json"));
  LINNET_TRY(SetEmbedScale(files));
  return files;
}

enum class GgufPart { kText, kMultimodal, kDrafter, kOther };

std::string_view TypeOf(const Gguf& file) {
  const auto type = file.metadata().GetString("general.type");
  return type && *type ? **type : std::string_view();
}

GgufPart PartOf(const Gguf& file) {
  if (TypeOf(file) == "adapter" || TypeOf(file) == "imatrix") return GgufPart::kOther;
  const auto architecture = file.metadata().GetString("general.architecture");
  const std::string_view name = architecture && *architecture ? **architecture : std::string_view();
  if (name == "clip") return GgufPart::kMultimodal;
  return IsDrafterArchitecture(name) ? GgufPart::kDrafter : GgufPart::kText;
}

bool LooksLikeGguf(const fs::path& path) {
  std::string extension = path.extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  return extension == ".gguf" && IsFile(path);
}

// "a LoRA adapter: not read yet" of an adapter's type, which may be empty.
std::string AdapterName(std::string type) {
  std::ranges::transform(type, type.begin(), [](unsigned char c) { return std::toupper(c); });
  return (type.empty() || type == "LORA" ? "a LoRA adapter" : "an adapter (" + type + ")") + ": not read yet";
}

std::unexpected<Error> NotAModel(const Gguf& file, GgufPart part) {
  if (part == GgufPart::kOther) {
    const auto type = file.metadata().GetString("adapter.type");
    const bool adapter = TypeOf(file) == "adapter";
    return Fail(ErrorCode::kUnsupported,
                file.name() + " is " +
                    (adapter ? AdapterName(type && *type ? std::string(**type) : "")
                             : "an importance matrix, no model"),
                adapter ? "give a model that it has been merged into" : kWhatToGive);
  }
  return Fail(
      ErrorCode::kInvalidArgument,
      file.name() + (part == GgufPart::kDrafter ? " is a drafter" : " is the multimodal part of a model"),
      "name the text model; this file is found by itself when it lies beside it");
}

// A directory with an adapter of the Hugging Face library or of MLX in the place of a model.
Status CheckNoAdapter(const fs::path& directory) {
  if (!IsFile(directory / "adapter_config.json") || IsFile(directory / "model.safetensors") ||
      IsFile(directory / "model.safetensors.index.json")) {
    return {};
  }
  LINNET_ASSIGN(const std::string config, ReadSmall(directory / "adapter_config.json"));
  return Fail(ErrorCode::kUnsupported, directory.string() + " is " + AdapterName(AdapterTypeOf(config)),
              "give a model that it has been merged into");
}

// Files beside the text model; a later part of a split file is not a file of its own.
bool IsLaterPart(const fs::path& path) {
  const std::string name = path.filename().string();
  return name.find("-of-") != std::string::npos && name.find("-00001-of-") == std::string::npos;
}

Status UseMultimodal(std::unique_ptr<Gguf> file, ModelFiles& files) {
  LINNET_ASSIGN(files.config, ConfigFromGguf(*files.gguf, file.get()));
  files.multimodal_path = file->name();
  files.multimodal_file = std::move(file);
  files.multimodal = files.multimodal_file.get();
  return {};
}

bool Fits(const Gguf& multimodal, const ModelConfig& config);

// One file may hold text and multimodal tensors together, as some programs store their models. Of another
// family the latter are an encoder's, which is passed over.
Status UseOwnMultimodal(ModelFiles& files) {
  const Gguf& file = *files.gguf;
  const bool encoder =
      file.Find("v.blk.0.attn_q.weight") != nullptr || file.Find("a.blk.0.attn_q.weight") != nullptr;
  if (files.config.model_type != "gemma4_unified" || encoder || !Fits(file, files.config)) return {};
  LINNET_ASSIGN(files.config, ConfigFromGguf(file, &file));
  files.multimodal = files.text.get();
  return {};
}

Status UseDrafter(std::unique_ptr<Gguf> file, ModelFiles& files) {
  LINNET_ASSIGN(files.drafter_config, DrafterFromGguf(*file));
  files.drafter_path = file->name();
  LINNET_ASSIGN(files.drafter, WithScales(std::move(file)));
  return {};
}

// Whether an mmproj belongs to a text model: its projection gives rows of the model's width.
bool Fits(const Gguf& multimodal, const ModelConfig& config) {
  for (const Role role : {Role::kVisionProjection, Role::kAudioProjection}) {
    const TensorInfo* tensor = FindTensor(multimodal, role);
    if (tensor != nullptr && tensor->shape.size() == 2) return tensor->shape[0] == config.hidden_size;
  }
  return false;
}

// What is to be found beside a GGUF.
struct Wanted {
  bool multimodal, drafter;
};

Status FindGgufSiblings(const fs::path& text, Wanted wanted, ModelFiles& files) {
  const fs::path directory = text.parent_path().empty() ? fs::path(".") : text.parent_path();
  std::vector<fs::path> neighbours = Entries(directory);
  // Of several that fit, as where two models of one shape share a directory, the one named after this model:
  // `mmproj-NAME.gguf`. Files of which all is found are not looked at, so those that are called mmproj come
  // first.
  std::stable_partition(neighbours.begin(), neighbours.end(), [](const fs::path& path) {
    return path.filename().string().find("mmproj") != std::string::npos;
  });
  std::stable_partition(neighbours.begin(), neighbours.end(), [&](const fs::path& path) {
    return path.filename().string().ends_with("-" + text.filename().string());
  });
  for (const fs::path& path : neighbours) {
    if (!wanted.multimodal && !wanted.drafter) break;
    std::error_code error;
    if (!LooksLikeGguf(path) || IsLaterPart(path) || fs::equivalent(path, text, error)) continue;
    Result<std::unique_ptr<Gguf>> file = Gguf::Open(path);
    if (!file) {  // a neighbour's defects are not this model's
      if (files.multimodal == nullptr && IsGitLfsPointer(path))
        files.not_fetched.push_back(file.error().Message());
      continue;
    }
    const GgufPart part = PartOf(**file);
    if (part == GgufPart::kMultimodal && wanted.multimodal && Fits(**file, files.config)) {
      LINNET_TRY(UseMultimodal(std::move(*file), files));
      wanted.multimodal = false;
    } else if (part == GgufPart::kDrafter && wanted.drafter) {
      const Result<DrafterConfig> config = DrafterFromGguf(**file);
      if (config && config->backbone_hidden_size == files.config.hidden_size) {
        LINNET_TRY(UseDrafter(std::move(*file), files));
        wanted.drafter = false;
      }
    }
  }
  return {};
}

// `find_drafter`: look for one beside the file.
Result<ModelFiles> OpenGguf(const fs::path& path, const std::string& mmproj, bool find_drafter) {
  ModelFiles files;
  files.kind = ModelFiles::Kind::kGguf;
  files.path = path.string();
  LINNET_ASSIGN(std::unique_ptr<Gguf> text, Gguf::Open(path));
  const GgufPart part = PartOf(*text);
  if (part != GgufPart::kText) return NotAModel(*text, part);
  LINNET_ASSIGN(files.config, ConfigFromGguf(*text, nullptr));
  files.gguf = text.get();
  LINNET_ASSIGN(files.text, WithScales(std::move(text)));
  if (!mmproj.empty()) {
    LINNET_ASSIGN(std::unique_ptr<Gguf> file, Gguf::Open(mmproj));
    if (PartOf(*file) != GgufPart::kMultimodal) {
      return Fail(ErrorCode::kInvalidArgument, mmproj + " is not a multimodal (mmproj) file",
                  "give one, or leave --mmproj out");
    }
    if (!Fits(*file, files.config)) {
      return Fail(ErrorCode::kInvalidArgument,
                  mmproj + " belongs to a model of another width than " + path.string(),
                  "give the one made for this model");
    }
    LINNET_TRY(UseMultimodal(std::move(file), files));
  } else {
    LINNET_TRY(UseOwnMultimodal(files));
  }
  LINNET_TRY(FindGgufSiblings(path, {mmproj.empty(), find_drafter}, files));
  LINNET_TRY(SetEmbedScale(files));
  return files;
}

// The one text model among the GGUF files of a directory.
Result<fs::path> TextModelIn(const fs::path& directory) {
  std::vector<fs::path> texts;
  std::string first_error;
  bool any = false;
  std::vector<fs::path> parts;  // later ones of split files: their first part speaks for them if it is there
  for (const fs::path& path : Entries(directory)) {
    if (!LooksLikeGguf(path)) continue;
    any = true;
    if (IsLaterPart(path)) {
      parts.push_back(path);
      continue;
    }
    const Result<std::unique_ptr<Gguf>> file = Gguf::Open(path);
    if (!file && first_error.empty()) first_error = file.error().Message();
    if (file && PartOf(**file) == GgufPart::kOther && first_error.empty()) {
      first_error = NotAModel(**file, GgufPart::kOther).error().Message();
    }
    if (file && PartOf(**file) == GgufPart::kText) texts.push_back(path);
  }
  if (texts.size() == 1) return texts[0];
  if (texts.empty()) {
    if (first_error.empty() && !parts.empty()) {
      if (const auto file = Gguf::Open(parts.front()); !file) first_error = file.error().Message();
    }
    if (!first_error.empty()) return Fail(ErrorCode::kBadFile, first_error);
    return Fail(ErrorCode::kNotFound,
                directory.string() + (any ? " holds GGUF files but none is a text model"
                                          : " holds neither a config.json nor a GGUF file"),
                kWhatToGive);
  }
  std::string names;
  for (const fs::path& path : texts) names += (names.empty() ? "" : ", ") + path.filename().string();
  return Fail(ErrorCode::kInvalidArgument,
              directory.string() + " holds " + std::to_string(texts.size()) + " models: " + names,
              "name one of the files");
}

Status OpenNamedDrafter(const std::string& drafter, ModelFiles& files) {
  if (IsDirectory(drafter)) {
    LINNET_TRY(OpenHfDrafter(drafter, files));
  } else {
    LINNET_ASSIGN(std::unique_ptr<Gguf> file, Gguf::Open(drafter));
    if (PartOf(*file) != GgufPart::kDrafter) {
      return Fail(ErrorCode::kInvalidArgument, drafter + " is not a drafter",
                  "give the model's assistant, or leave --drafter out");
    }
    LINNET_TRY(UseDrafter(std::move(file), files));
  }
  if (files.drafter_config->backbone_hidden_size == files.config.hidden_size) return {};
  return Fail(ErrorCode::kInvalidArgument,
              drafter + " drafts for a model of width " +
                  std::to_string(files.drafter_config->backbone_hidden_size) + ", but this one has " +
                  std::to_string(files.config.hidden_size),
              "give the drafter made for this model");
}

// Parts that are named and would not be used.
Status CheckParts(const std::string& model, const std::string& mmproj, const std::string& drafter,
                  bool use_drafter) {
  const char* part = !mmproj.empty() ? "multimodal file" : "drafter";
  if (model.empty() && !(mmproj.empty() && drafter.empty())) {
    return Fail(ErrorCode::kInvalidArgument,
                "the " + std::string(part) + " " + (mmproj.empty() ? drafter : mmproj) +
                    " is named without a model, and the built-in Chick has no place for it",
                "name its model with --model");
  }
  if (use_drafter || drafter.empty()) return {};
  return Fail(ErrorCode::kInvalidArgument,
              "the drafter " + drafter + " is named but nothing is to be drafted",
              "leave it out, or draft (no --draft 0)");
}

constexpr const char* kLiteRt = "a LiteRT-LM file (.litertlm)";

struct Magic {
  std::string_view bytes;
  const char* name;
};
constexpr std::array<Magic, 9> kMagics = {{{"GGUF", "a GGUF file"},
                                           {"\x89PNG", "a PNG picture"},
                                           {"\xff\xd8\xff", "a JPEG picture"},
                                           {"RIFF", "a RIFF (WAV or WebP) file"},
                                           {"PK\x03\x04", "a zip archive (perhaps a PyTorch checkpoint)"},
                                           {"\x80\x02", "a Python pickle (perhaps a PyTorch checkpoint)"},
                                           {"%PDF", "a PDF document"},
                                           {"ggml", "an old GGML file"},
                                           {"LITERTLM", kLiteRt}}};

bool LooksLikeText(std::span<const uint8_t> bytes) {
  const size_t n = std::min<size_t>(bytes.size(), 512);
  return std::all_of(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(n),
                     [](uint8_t c) { return c >= 32 || c == '\n' || c == '\r' || c == '\t'; });
}

}  // namespace

std::string DescribeFile(const fs::path& path) {
  const Result<MappedFile> file = MappedFile::Open(path);
  if (!file)
    return file.error().what.find("Git LFS") != std::string::npos ? "a Git LFS pointer" : "unreadable";
  const std::span<const uint8_t> bytes = file->bytes();
  if (bytes.empty()) return "empty";
  for (const Magic& magic : kMagics) {
    if (AsText(bytes).starts_with(magic.bytes)) return magic.name;
  }
  if (bytes.size() > 9 && bytes[8] == '{' && bytes[7] == 0) return "a safetensors file";
  if (LooksLikeText(bytes)) return "a text file";
  return "of an unknown kind";
}

bool IsDrafterDirectory(const std::string& path) { return IsDirectory(path) && IsHfDrafter(path); }

Result<ModelFiles> OpenDrafterDirectory(const std::string& path) {
  ModelFiles files;
  files.kind = ModelFiles::Kind::kHuggingFace;
  LINNET_TRY(OpenHfDrafter(path, files));
  LINNET_ASSIGN(files.tokenizer_json, ReadSmall(fs::path(path) / "tokenizer.json"));
  return files;
}

Result<ModelFiles> OpenModel(const std::string& model, const std::string& mmproj, const std::string& drafter,
                             bool use_drafter) {
  LINNET_TRY(CheckParts(model, mmproj, drafter, use_drafter));
  if (model.empty()) return OpenBuiltIn();
  const fs::path path(model);
  std::error_code error;
  if (!fs::exists(path, error)) {
    constexpr size_t kShown = 80;
    const std::string shown = model.size() > kShown ? model.substr(0, kShown) + "…" : model;
    if (model.starts_with("data:") || model.starts_with("file:") || model.find("://") != std::string::npos) {
      return Fail(ErrorCode::kInvalidArgument, shown + " is an address, and models are read from files",
                  "download it and give the path");
    }
    return Fail(ErrorCode::kNotFound, "there is no file or directory " + shown,
                "check the spelling, or " + std::string(kWhatToGive));
  }
  ModelFiles files;
  if (IsDirectory(path)) LINNET_TRY(CheckNoAdapter(path));
  if (IsDirectory(path) && IsFile(path / "config.json")) {
    if (IsHfDrafter(path)) {
      return Fail(ErrorCode::kInvalidArgument, model + " is a drafter",
                  "name the model it drafts for; give this one as --drafter");
    }
    if (!mmproj.empty()) {
      return Fail(ErrorCode::kInvalidArgument,
                  mmproj + " is named beside the directory " + model + ", which holds all parts of its model",
                  "leave --mmproj out; it belongs to a text model in a GGUF file");
    }
    LINNET_ASSIGN(files, OpenHuggingFace(path));
    if (use_drafter && drafter.empty()) LINNET_TRY(FindHfDrafter(path, files));
  } else if (IsDirectory(path)) {
    LINNET_ASSIGN(const fs::path text, TextModelIn(path));
    LINNET_ASSIGN(files, OpenGguf(text, mmproj, use_drafter && drafter.empty()));
  } else if (DescribeFile(path) == "a GGUF file") {
    LINNET_ASSIGN(files, OpenGguf(path, mmproj, use_drafter && drafter.empty()));
  } else {
    LINNET_TRY(MappedFile::Open(path));  // what cannot be opened says so itself
    const std::string kind = DescribeFile(path);
    return Fail(ErrorCode::kBadFile,
                model + " is " + kind + (kind == kLiteRt ? ", which is not read" : ", not a model"),
                kind == "a safetensors file" ? "give the directory it lies in" : kWhatToGive);
  }
  if (!drafter.empty()) LINNET_TRY(OpenNamedDrafter(drafter, files));
  return files;
}

}  // namespace linnet
