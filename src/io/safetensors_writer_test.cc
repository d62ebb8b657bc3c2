#include "io/safetensors_writer.h"

#include <gtest/gtest.h>

#include <numeric>

#include "base/directory_testing.h"
#include "io/safetensors.h"

namespace linnet {
namespace {

class SafetensorsWriterTest : public DirectoryTest {};

TEST_F(SafetensorsWriterTest, WhatIsWrittenIsRead) {
  std::vector<uint8_t> bytes(4 * 6 + 2);
  std::iota(bytes.begin(), bytes.end(), uint8_t{1});
  SafetensorsWriter writer(File("a.safetensors"), "mlx");
  writer.AddTensor("words", Dtype::kU32, std::vector<int64_t>{2, 3});
  writer.AddTensor("half", Dtype::kBf16, std::vector<int64_t>{1});
  ASSERT_TRUE(writer.Begin());
  ASSERT_TRUE(writer.Write(std::span(bytes).first(10)));
  ASSERT_TRUE(writer.Write(std::span(bytes).subspan(10, 14)));
  EXPECT_FALSE(writer.complete());
  ASSERT_TRUE(writer.Write(std::span(bytes).last(2)));
  EXPECT_TRUE(writer.complete());
  EXPECT_FALSE(std::filesystem::exists(File("a.safetensors"))) << "before it is finished";
  const Result<uint64_t> size = writer.Finish();
  ASSERT_TRUE(size) << size.error().Message();
  EXPECT_EQ(*size, writer.Size());
  EXPECT_EQ(*size, std::filesystem::file_size(File("a.safetensors")));
  EXPECT_EQ((*size - bytes.size()) % 8, 0u) << "tensors begin at a multiple of 8";
  const auto file = Safetensors::Open(File("a.safetensors"));
  ASSERT_TRUE(file) << file.error().Message();
  EXPECT_EQ((*file)->metadata().at("format"), "mlx");
  std::vector<uint8_t> scratch;
  const TensorInfo *words = (*file)->Find("words"), *half = (*file)->Find("half");
  ASSERT_TRUE(words != nullptr && half != nullptr);
  EXPECT_EQ(words->dtype, Dtype::kU32);
  EXPECT_EQ(words->shape, (std::vector<int64_t>{2, 3}));
  EXPECT_TRUE(std::ranges::equal((*file)->Bytes(*words, 0, 24, scratch), std::span(bytes).first(24)));
  EXPECT_TRUE(std::ranges::equal((*file)->Bytes(*half, 0, 2, scratch), std::span(bytes).last(2)));
}

TEST_F(SafetensorsWriterTest, NothingIsLeftOfAnUnfinishedFile) {
  {
    SafetensorsWriter writer(File("a.safetensors"), "pt");
    writer.AddTensor("a", Dtype::kF32, std::vector<int64_t>{2});
    ASSERT_TRUE(writer.Begin());
  }
  EXPECT_TRUE(std::filesystem::is_empty(File("")));
  SafetensorsWriter nowhere(File("no/such/a.safetensors"), "pt");
  EXPECT_FALSE(nowhere.Begin());
}

}  // namespace
}  // namespace linnet
