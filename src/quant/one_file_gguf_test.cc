// Text model and multimodal tensors in one GGUF, as some programs store them.
#include <filesystem>

#include <gtest/gtest.h>

#include "io/gguf_writer.h"
#include "model/model_files.h"
#include "model/tensor_names.h"
#include "quant/convert.h"

namespace linnet {
namespace {

namespace fs = std::filesystem;

const std::string kModel = std::string(LINNET_SOURCE_DIR) + "/tests/data/golden/model/target";

class OneFileGguf : public ::testing::Test {
 protected:
  void SetUp() override {
    root_ = fs::path(::testing::TempDir()) / "linnet_one_file";
    fs::remove_all(root_);
    fs::create_directories(root_ / "one");
    ASSERT_TRUE(ConvertModel({kModel, File("two.gguf"), Dtype::kF32, false}, pool_, {}));
    Join("one/one.gguf", true);
  }
  void TearDown() override { fs::remove_all(root_); }

  std::string File(const std::string& name) const { return (root_ / name).string(); }

  // Both files as one, with the keys of the multimodal one or without.
  void Join(const std::string& name, bool with_keys) {
    const auto text = Gguf::Open(File("two.gguf")), media = Gguf::Open(File("mmproj-two.gguf"));
    ASSERT_TRUE(text && media);
    GgufWriter writer(File(name));
    for (const auto& [key, value] : (*text)->metadata().values()) writer.AddValue(key, value);
    for (const auto& [key, value] : (*media)->metadata().values()) {
      if (with_keys && (key.starts_with("clip.") || key.starts_with("linnet."))) writer.AddValue(key, value);
    }
    for (const auto& file : {text->get(), media->get()}) {
      for (const TensorInfo& tensor : file->tensors())
        writer.AddTensor(tensor.name, tensor.dtype, tensor.shape);
    }
    ASSERT_TRUE(writer.Begin());
    std::vector<uint8_t> scratch;
    for (const auto& file : {text->get(), media->get()}) {
      for (const TensorInfo& tensor : file->tensors()) {
        ASSERT_TRUE(writer.Write(file->Bytes(tensor, 0, tensor.bytes, scratch)));
      }
    }
    ASSERT_TRUE(writer.Finish());
  }

  fs::path root_;
  ThreadPool pool_{2};
};

TEST_F(OneFileGguf, ItsMultimodalTensorsAreUsed) {
  const auto one = OpenModel(File("one/one.gguf"), "", ""), two = OpenModel(File("two.gguf"), "", "");
  ASSERT_TRUE(one && two) << (one ? "" : one.error().Message());
  EXPECT_TRUE(one->config.vision.present && one->config.audio.present);
  EXPECT_EQ(one->multimodal, one->text.get());
  EXPECT_EQ(one->config.vision.mm_posemb_size, two->config.vision.mm_posemb_size);
  for (const Role role : {Role::kVisionProjection, Role::kPatchDenseWeight, Role::kPositionTable}) {
    EXPECT_EQ(*ReadFloats(*one->multimodal, role), *ReadFloats(*two->multimodal, role));
  }
  EXPECT_TRUE(OpenModel(File("one"), "", "")->config.vision.present);
}

TEST_F(OneFileGguf, AMultimodalFileThatIsNamedCountsInstead) {
  const auto files = OpenModel(File("one/one.gguf"), File("mmproj-two.gguf"), "");
  ASSERT_TRUE(files) << files.error().Message();
  EXPECT_NE(files->multimodal, files->text.get());
  EXPECT_EQ(files->multimodal_path, File("mmproj-two.gguf"));
}

TEST_F(OneFileGguf, ConvertingKeepsThem) {
  for (const bool pack : {false, true}) {
    ConvertOptions options{File("one/one.gguf"), File("out.gguf"), Dtype::kQ8_0, true};
    options.pack = pack;
    const auto report = ConvertModel(options, pool_, {});
    ASSERT_TRUE(report) << report.error().Message();
    EXPECT_EQ(report->files.size(), 1u);
    fs::remove(File("mmproj-two.gguf"));  // not to be found by itself
    const auto before = OpenModel(File("one/one.gguf"), "", ""), after = OpenModel(File("out.gguf"), "", "");
    ASSERT_TRUE(before && after) << (after ? "" : after.error().Message());
    EXPECT_TRUE(after->config.vision.present && after->config.audio.present);
    for (const Role role : {Role::kVisionProjection, Role::kPatchDenseWeight, Role::kAudioProjection}) {
      const auto values = ReadFloats(*after->multimodal, role);
      ASSERT_TRUE(values) << values.error().Message();
      EXPECT_EQ(*values, *ReadFloats(*before->multimodal, role));
    }
  }
}

}  // namespace
}  // namespace linnet
