#include "media/video.h"

#include "media/golden_test_util.h"

namespace linnet {
namespace {

TEST(SampleFrames, EqualsTheReference) {
  int compared = 0;
  for (const auto& row : ReadJsonLines("video_sampling.jsonl")) {
    const int64_t total = row["total"];
    const bool by_rate = row.contains("fps");
    const auto& wanted = by_rate                   ? row["processor_built_with_num_frames_none"]
                         : row.contains("indices") ? row["indices"]
                                                   : row;
    const double video_fps = by_rate && !row["video_fps"].is_null() ? row["video_fps"].get<double>() : 0.0;
    const auto indices =
        by_rate ? SampleFramesAtRate(total, video_fps, row["fps"]) : SampleFrames(total, row["num_frames"]);
    if (wanted.is_object() && row.value("error", "") != "IndexError") {
      EXPECT_FALSE(indices.has_value()) << row;
      continue;
    }
    if (wanted.is_object()) continue;
    ASSERT_TRUE(indices.has_value()) << row;
    auto expected = wanted.get<std::vector<int64_t>>();
    if (expected.back() == total) expected.pop_back();
    EXPECT_EQ(*indices, expected) << row;
    ++compared;
  }
  EXPECT_GT(compared, 100);
}

TEST(SampleFrames, NeverLeavesTheVideo) {
  for (int64_t total = 1; total < 200; ++total) {
    for (int64_t n = 1; n <= total; ++n) {
      const auto indices = SampleFrames(total, n);
      ASSERT_TRUE(indices.has_value());
      ASSERT_EQ(indices->size(), static_cast<size_t>(n));
      ASSERT_LT(indices->back(), total);
    }
  }
}

TEST(FrameTimestamp, FloatAndDoubleDifferWhereTheReferenceDiffers) {
  EXPECT_EQ(FrameTimestamp(24000, 24000.0 / 1001.0, true), "16:41");
  EXPECT_EQ(FrameTimestamp(24000, 24000.0 / 1001.0, false), "16:40");
  EXPECT_EQ(FrameTimestamp(6000, 1.0, false), "100:00");
  EXPECT_EQ(FrameTimestamp(24, 0.0, false), "00:01");
}

TEST(FrameTimestamp, EqualsTheReference) {
  for (const auto& row : ReadJsonLines("processor.jsonl")) {
    const std::string name = row["case"];
    if (!name.starts_with("timestamps")) continue;
    std::string text;
    for (const int64_t index : row["indices"]) {
      const double fps = row["fps"].is_null() ? 0.0 : row["fps"].get<double>();
      if (!text.empty()) text += ' ';
      text += FrameTimestamp(index, fps, name != "timestamps");
      text += " <|image><|video|><image|>";
    }
    EXPECT_EQ(text, row["text_with_one_token_per_frame"]);
  }
}

}  // namespace
}  // namespace linnet
