// From what a person names as a model to its parts: a Hugging Face directory, a GGUF file, a directory of
// GGUFs, or nothing at all, which means Chick. The multimodal file and the drafter that lie beside a model
// are found by what their metadata say they are.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "io/gguf.h"
#include "io/quantisation.h"
#include "io/tensor_source.h"
#include "linnet/error.h"
#include "model/config.h"

namespace linnet {

struct ModelFiles {
  enum class Kind { kHuggingFace, kGguf, kBuiltIn };

  Kind kind = Kind::kBuiltIn;
  std::string path;  // of the directory or the text file; empty for the built-in model
  ModelConfig config;

  Quantisation quantisation;  // of a directory's text model and what lies with it

  std::unique_ptr<TensorSource> text;
  std::unique_ptr<TensorSource> multimodal_file;  // a GGUF of its own; otherwise the parts lie in `text`
  const TensorSource* multimodal = nullptr;       // nullptr where the model neither sees nor hears
  std::string multimodal_path;

  std::unique_ptr<TensorSource> drafter;  // nullptr if none was found
  std::optional<DrafterConfig> drafter_config;
  std::string drafter_path;

  std::string tokenizer_json;  // of a directory; empty where the vocabulary is in `gguf` or missing
  const Gguf* gguf = nullptr;  // `text` as a GGUF
  std::vector<std::string>
      not_fetched;           // files beside the model that are only pointers of Git LFS: what to do
  std::string prompts_json;  // the prompts the model was taught, if its directory says
};

// `mmproj` and `drafter` may be empty: found beside the model. Without `use_drafter` none is looked for.
// Errors name what was found and what to do: kNotFound, kBadFile, kUnsupported; kInvalidArgument for a part
// that this model has no place for.
Result<ModelFiles> OpenModel(const std::string& model, const std::string& mmproj, const std::string& drafter,
                             bool use_drafter = true);

// A Hugging Face directory of a drafter, alone: only the drafter's fields of the result and tokenizer_json
// are set.
bool IsDrafterDirectory(const std::string& path);
Result<ModelFiles> OpenDrafterDirectory(const std::string& path);

// What a file seems to be, for messages: "a PNG picture", "a text file", "empty".
std::string DescribeFile(const std::filesystem::path& path);

}  // namespace linnet
