// What a person names as a model and is none, or not all of one.
#include "model/model_files.h"

#include <filesystem>
#include <fstream>
#include <iterator>

#include <gtest/gtest.h>

#include "io/gguf_test_bytes.h"

namespace linnet {
namespace {

namespace fs = std::filesystem;

const fs::path kTarget = LINNET_SOURCE_DIR "/tests/data/golden/model/target";
const fs::path kSharded = LINNET_SOURCE_DIR "/tests/data/golden/model/target-sharded";
constexpr const char* kPointer =
    "version https://git-lfs.github.com/spec/v1\n"
    "oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 7160000000\n";

class ModelFilesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    root_ = fs::path(::testing::TempDir()) / "linnet_model_files";
    fs::remove_all(root_);
    fs::create_directories(root_);
  }
  void TearDown() override { fs::remove_all(root_); }

  fs::path Write(const fs::path& name, const std::string& bytes) {
    fs::create_directories((root_ / name).parent_path());
    fs::remove(root_ / name);
    std::ofstream(root_ / name, std::ios::binary) << bytes;
    return root_ / name;
  }
  // A file with nothing but these keys.
  fs::path WriteGguf(const fs::path& name, const std::vector<std::pair<std::string, std::string>>& keys) {
    GgufBytes b;
    b.Header(0, keys.size());
    for (const auto& [key, value] : keys) b.Text(key, value);
    b.Pad();
    return Write(name, std::string(b.data.begin(), b.data.end()));
  }
  std::string ErrorOf(const fs::path& model, const std::string& mmproj = "",
                      const std::string& drafter = "") {
    const auto files = OpenModel(model.string(), mmproj, drafter);
    return files ? "" : files.error().Message();
  }

  fs::path root_;
};

void ExpectPointer(const std::string& error, const std::string& file) {
  EXPECT_TRUE(error.contains("a Git LFS pointer: run git lfs pull")) << error;
  EXPECT_TRUE(error.contains(file)) << error;
}

TEST_F(ModelFilesTest, NamesQuantisedModelsThatItCannotRead) {
  const std::string error = ErrorOf(Write("model.litertlm", std::string("LITERTLM\0\0\0\1", 12)));
  EXPECT_TRUE(error.contains("is a LiteRT-LM file (.litertlm), which is not read")) << error;
  // Quantised weights beside the configuration of the model they were made from.
  const fs::path mlx = LINNET_SOURCE_DIR "/tests/data/formats/model/mlx-affine-4";
  fs::copy(mlx, root_ / "mlx");
  fs::copy_file(kTarget / "config.json", root_ / "mlx/config.json", fs::copy_options::overwrite_existing);
  const std::string unsaid = ErrorOf(root_ / "mlx");
  EXPECT_TRUE(unsaid.contains("as written by MLX, and config.json does not say how")) << unsaid;
}

TEST_F(ModelFilesTest, NamesGitLfsPointersWhereverTheyLie) {
  ExpectPointer(ErrorOf(Write("m.gguf", kPointer)), "m.gguf");
  ExpectPointer(ErrorOf(Write("model.safetensors", kPointer)), "model.safetensors");
  ExpectPointer(ErrorOf(Write("ggufs/m.gguf", kPointer).parent_path()), "m.gguf");
  for (const fs::path& model : {kTarget, kSharded}) {
    for (const auto& entry : fs::directory_iterator(model)) {
      const std::string name = entry.path().filename().string();
      if (name == "README.md" || name == "tokenizer_config.json") continue;  // not read
      const fs::path copy = root_ / "copy";
      fs::remove_all(copy);
      fs::copy(model, copy);
      Write(fs::path("copy") / name, kPointer);
      ExpectPointer(ErrorOf(copy), name);
    }
  }
  Write("tokenizer/tokenizer.json", kPointer);
  for (const char* name : {"config.json", "model.safetensors"})
    fs::copy(kTarget / name, root_ / "tokenizer" / name);
  ExpectPointer(ErrorOf(root_ / "tokenizer"), "tokenizer.json");
  ExpectPointer(ErrorOf(kTarget, "", Write("drafter.gguf", kPointer).string()), "drafter.gguf");
}

TEST_F(ModelFilesTest, ALargeFileThatBeginsLikeAPointerIsNone) {
  EXPECT_FALSE(ErrorOf(Write("long.gguf", kPointer + std::string(5000, 'x'))).contains("LFS"));
}

TEST_F(ModelFilesTest, NamesAdapters) {
  Write("lora/adapter_config.json", R"({"peft_type": "LORA", "r": 8})");
  Write("lora/adapter_model.safetensors", "x");
  EXPECT_TRUE(ErrorOf(root_ / "lora").contains("a LoRA adapter: not read yet"));
  Write("lora/config.json", R"({"model_type": "gemma4_unified"})");
  EXPECT_TRUE(ErrorOf(root_ / "lora").contains("a LoRA adapter: not read yet"));
  Write("mlx/adapter_config.json", R"({"fine_tune_type": "lora"})");
  EXPECT_TRUE(ErrorOf(root_ / "mlx").contains("a LoRA adapter: not read yet"));
  Write("other/adapter_config.json", R"({"peft_type": "prefix_tuning"})");
  EXPECT_TRUE(ErrorOf(root_ / "other").contains("an adapter (PREFIX_TUNING): not read yet"));
  const fs::path file =
      WriteGguf("gguf/lora.gguf",
                {{"general.architecture", "gemma4"}, {"general.type", "adapter"}, {"adapter.type", "lora"}});
  EXPECT_TRUE(ErrorOf(file).contains("a LoRA adapter: not read yet"));
  EXPECT_TRUE(ErrorOf(file.parent_path()).contains("a LoRA adapter: not read yet"));
  const fs::path matrix = WriteGguf("imatrix.gguf", {{"general.type", "imatrix"}});
  EXPECT_TRUE(ErrorOf(matrix).contains("an importance matrix"));
}

TEST_F(ModelFilesTest, NamesTheMissingFirstPartOfADirectory) {
  GgufBytes b;
  b.Header(0, 2);
  b.U32("split.no", 1);
  b.U32("split.count", 3);
  b.Pad();
  Write("split/m-00002-of-00003.gguf", std::string(b.data.begin(), b.data.end()));
  const std::string error = ErrorOf(root_ / "split");
  EXPECT_TRUE(error.contains("m-00001-of-00003.gguf") && error.contains("part 1 of 3 is missing")) << error;
}

}  // namespace
}  // namespace linnet
