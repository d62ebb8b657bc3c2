#include "runtime/fingerprint.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "model/model_files.h"

namespace linnet {
namespace {

// Two tensors whose bytes can be changed.
class SmallSource : public TensorSource {
 public:
  SmallSource() {
    infos.push_back({"norm", Dtype::kF32, {16}, 64, false});
    infos.push_back({"matrix", Dtype::kF32, {64, 64}, 16384, false});
    bytes = {std::vector<uint8_t>(64, 1), std::vector<uint8_t>(16384, 2)};
  }
  std::span<const TensorInfo> tensors() const override { return infos; }
  const TensorInfo* Find(std::string_view) const override { return nullptr; }
  std::span<const uint8_t> Bytes(const TensorInfo& tensor, uint64_t offset, uint64_t length,
                                 std::vector<uint8_t>&) const override {
    return std::span(bytes[static_cast<size_t>(&tensor - infos.data())]).subspan(offset, length);
  }

  std::vector<TensorInfo> infos;
  std::vector<std::vector<uint8_t>> bytes;
};

TEST(Fingerprint, NamesWhatDecidesAboutKeysAndValues) {
  const SmallSource source;
  ModelConfig config;
  config.layers.resize(2);
  const std::string own = FingerprintOf(config, source, nullptr, false).text;
  EXPECT_EQ(own.size(), 64u);
  EXPECT_EQ(FingerprintOf(config, source, nullptr, false).text, own);
  EXPECT_NE(FingerprintOf(config, source, nullptr, true).text, own);

  ModelConfig other = config;
  other.layers[1].rope.theta = 1e6;
  EXPECT_NE(FingerprintOf(other, source, nullptr, false).text, own);
  other = config;
  other.name = "renamed";
  EXPECT_EQ(FingerprintOf(other, source, nullptr, false).text, own);

  SmallSource changed;
  changed.infos[1].name = "another";
  EXPECT_NE(FingerprintOf(config, changed, nullptr, false).text, own);
  changed = {};
  changed.infos[1].shape = {32, 128};
  EXPECT_NE(FingerprintOf(config, changed, nullptr, false).text, own);
  for (const size_t tensor : {0, 1}) {
    changed = {};
    for (uint8_t& byte : changed.bytes[tensor]) byte = static_cast<uint8_t>(byte + 1);
    EXPECT_NE(FingerprintOf(config, changed, nullptr, false).text, own) << tensor;
  }
}

TEST(Fingerprint, AMultimodalFileHasOneOfItsOwn) {
  const SmallSource text;
  SmallSource media;
  const ModelFingerprint own = FingerprintOf({}, text, &media, false);
  EXPECT_EQ(own.multimodal.size(), 64u);
  EXPECT_TRUE(FingerprintOf({}, text, &text, false).multimodal.empty());
  media.bytes[0].assign(64, 9);
  const ModelFingerprint changed = FingerprintOf({}, text, &media, false);
  EXPECT_EQ(changed.text, own.text);
  EXPECT_NE(changed.multimodal, own.multimodal);
}

TEST(Fingerprint, OfChickIsTheSameFromItsDirectory) {
  const auto built_in = OpenModel("", "", ""),
             directory = OpenModel(LINNET_SOURCE_DIR "/models/chick", "", "");
  ASSERT_TRUE(built_in && directory);
  EXPECT_EQ(FingerprintOf(built_in->config, *built_in->text, built_in->multimodal, false),
            FingerprintOf(directory->config, *directory->text, directory->multimodal, false));
}

}  // namespace
}  // namespace linnet
