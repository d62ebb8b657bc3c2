// Runs that are killed while they write, and those that go on.
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "base/directory_testing.h"
#include "linnet/quantise.h"
#include "quant/output_files.h"
#include "quant/resume_log.h"
#include "quant/small_model_testing.h"

namespace linnet {
namespace {

namespace fs = std::filesystem;

class ResumeTest : public DirectoryTest {
 protected:
  // What stands in the log of a run of `lines` items that was killed, with so many bytes of the last one.
  std::string LogOfKilled(size_t items, size_t cut) {
    auto log = ResumeLog::Open(File("x"), "made of this");
    for (size_t i = 0; i < items; ++i) {
      EXPECT_TRUE(log->Add({i, {0.1 * static_cast<double>(i), 1.0 / 3, i, i / 2, 0, 1e-300}}));
    }
    const std::string text = ReadBytes(File("x"));
    return text.substr(0, text.size() - cut);
  }
  QuantiseOptions Options(const std::string& output, const std::string& mix) {
    QuantiseOptions options;
    options.input = File("model");
    options.output = File(output);
    options.mix = mix;
    options.max_shard = 30'000;
    options.threads = 1;
    return options;
  }
  // The same run, killed when so much of it is done.
  void Kill(const QuantiseOptions& options, double fraction) {
    static_cast<void>(Quantise(options, [&](double done, std::string_view) {
      if (done >= fraction) std::raise(SIGKILL);
    }));
  }
  static bool Says(const QuantiseReport& report, const std::string& what) {
    for (const std::string& note : report.notes) {
      if (note.find(what) != note.npos) return true;
    }
    return false;
  }
};

TEST_F(ResumeTest, LogsAreReadAsTheyWereWritten) {
  WriteBytes(File("x"), LogOfKilled(5, 0));
  {
    const auto log = ResumeLog::Open(File("x"), "made of this");
    ASSERT_TRUE(log) << log.error().Message();
    ASSERT_EQ(log->entries().size(), 5u);
    EXPECT_EQ(log->entries()[3].checksum, 3u);
    EXPECT_EQ(log->entries()[3].loss.error, 0.1 * 3);
    EXPECT_EQ(log->entries()[3].loss.total, 1.0 / 3);
    EXPECT_EQ(log->entries()[3].loss.exact, 1u);
    EXPECT_EQ(log->entries()[3].loss.weighted_total, 1e-300);
    const auto other = ResumeLog::Open(File("x"), "made of this");
    ASSERT_FALSE(other) << "somebody writes it";
    EXPECT_NE(other.error().what.find("in use"), std::string::npos) << other.error().what;
  }
  EXPECT_FALSE(fs::exists(File("x"))) << "it goes with the run";
  for (const size_t cut : {size_t{1}, size_t{9}}) {
    WriteBytes(File("x"), LogOfKilled(5, cut));
    EXPECT_EQ(ResumeLog::Open(File("x"), "made of this")->entries().size(), 4u) << "the last line is cut";
  }
  WriteBytes(File("x"), LogOfKilled(5, 0));
  EXPECT_TRUE(ResumeLog::Open(File("x"), "made of that")->entries().empty());
  WriteBytes(File("x"), "made of this\nnonsense\n1 2 3\n");
  EXPECT_TRUE(ResumeLog::Open(File("x"), "made of this")->entries().empty());
}

// Two runs at once: the second touches nothing of the first's.
TEST_F(ResumeTest, WhoeverComesSecondLeavesTheFirstAlone) {
  WriteGemma3(File("model"));
  const QuantiseOptions options = Options("made", "mlx-4bit-g32");
  int tried = 0;
  const auto first = Quantise(options, [&](double done, std::string_view) {
    if (done < 0.5 || tried++ > 0) return;
    const auto second = Quantise(options);
    ASSERT_FALSE(second);
    EXPECT_NE(second.error().what.find("in use"), std::string::npos) << second.error().what;
  });
  EXPECT_GT(tried, 0);
  ASSERT_TRUE(first) << first.error().Message();
  EXPECT_TRUE(fs::exists(options.output + "/config.json"));
  EXPECT_FALSE(fs::exists(options.output + kPartEnding));
}

using ResumeDeathTest = ResumeTest;

// The process that is killed begins the test anew, with the directory: its files are the input from then on.
TEST_F(ResumeDeathTest, AKilledRunIsGoneOnWith) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  WriteGemma3(File("model"));
  WriteTokenizer(File("model/tokenizer.json"), 192);
  const QuantiseOptions options = Options("cut.gguf", "q4_0");
  EXPECT_EXIT(Kill(options, 0.6), ::testing::KilledBySignal(SIGKILL), "");
  ASSERT_TRUE(fs::exists(options.output + kResumeEnding));
  const auto went_on = Quantise(options);
  ASSERT_TRUE(went_on) << went_on.error().Message();
  EXPECT_TRUE(Says(*went_on, "tensors were there already"));
  ASSERT_GT(went_on->files.size(), 2u);
  const auto at_once = Quantise(Options("whole.gguf", "q4_0"));
  ASSERT_TRUE(at_once) << at_once.error().Message();
  for (size_t i = 0; i < at_once->files.size(); ++i) {
    EXPECT_EQ(ReadBytes(went_on->files[i].path), ReadBytes(at_once->files[i].path));
  }
  ASSERT_EQ(went_on->matrices.size(), at_once->matrices.size());
  for (size_t i = 0; i < at_once->matrices.size(); ++i) {
    EXPECT_EQ(went_on->matrices[i].error, at_once->matrices[i].error) << at_once->matrices[i].name;
  }
  size_t left = 0;
  for (const auto& entry : fs::directory_iterator(File(""))) {
    left += entry.path().string().find(".linnet-") != std::string::npos ? 1 : 0;
  }
  EXPECT_EQ(left, 0u);
}

TEST_F(ResumeDeathTest, OnlyWhatIsUnharmedAndOfTheSameIsTakenOver) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  WriteGemma3(File("model"));
  QuantiseOptions options = Options("x.gguf", "q8_0");
  options.max_shard = 0;
  options.overwrite = true;
  EXPECT_EXIT(Kill(options, 0.6), ::testing::KilledBySignal(SIGKILL), "");
  const std::string part = ReadBytes(options.output + kPartEnding);
  const std::string log = ReadBytes(options.output + kResumeEnding);
  const int all = static_cast<int>(std::ranges::count(log, '\n')) - 1;  // the first line is no item
  ASSERT_GT(all, 5);
  // How many tensors a run takes over where a killed one left these bytes.
  const auto taken_over = [&](const std::string& bytes) {
    WriteBytes(options.output + kPartEnding, bytes);
    WriteBytes(options.output + kResumeEnding, log);
    const auto report = Quantise(options);
    EXPECT_TRUE(report);
    for (const std::string& note : report->notes) {
      if (note.find("tensors were there already") != note.npos) return std::stoi(note);
    }
    return 0;
  };
  EXPECT_EQ(taken_over(part), all);
  const std::string whole = ReadBytes(options.output);
  std::string harmed = part;
  harmed[part.size() * 7 / 10] ^= 1;
  const int less = taken_over(harmed);
  EXPECT_LT(less, all);
  EXPECT_GT(less, 0);
  EXPECT_EQ(ReadBytes(options.output), whole);
  EXPECT_LT(taken_over(part.substr(0, part.size() / 2)), all);
  EXPECT_EQ(ReadBytes(options.output), whole);
  harmed = part;
  harmed[40] ^= 1;
  EXPECT_EQ(taken_over(harmed), 0) << "another file";
  options.mix = "q5_1";
  EXPECT_EQ(taken_over(part), 0) << "another format";
  options.mix = "q8_0";
  WriteGemma3(File("model"), "", true);
  EXPECT_EQ(taken_over(part), 0) << "another input";
}

}  // namespace
}  // namespace linnet
