#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>

#include <gtest/gtest.h>

#include "eval/parity.h"
#include "runtime/sha256.h"

namespace linnet {
namespace {

using Runner = Status (*)(const std::filesystem::path&, const ParityOptions&, const CaseSink&);

std::map<std::string, CaseResult> RunAll(Runner run, const std::filesystem::path& root,
                                         const ParityOptions& options = {}) {
  std::map<std::string, CaseResult> results;
  const Status status = run(root, options, [&](const CaseResult& result) { results[result.name] = result; });
  EXPECT_TRUE(status.has_value()) << status.error().Message();
  return results;
}

const std::filesystem::path kGolden = LINNET_SOURCE_DIR "/tests/data/golden";

void ExpectAllPass(const std::map<std::string, CaseResult>& results, size_t at_least) {
  size_t passed = 0;
  for (const auto& [name, result] : results) {
    EXPECT_NE(result.state, CaseState::kFail) << name << ": " << result.note;
    passed += result.state == CaseState::kPass;
  }
  EXPECT_GE(passed, at_least);
}

TEST(Sha256, KnownAnswers) {
  EXPECT_EQ(Sha256Hex(std::span<const uint8_t>()),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  const std::vector<uint8_t> abc = {'a', 'b', 'c'};
  EXPECT_EQ(Sha256Hex(std::span(abc)), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(MediaParity, PicturesAndFramesPass) {
  const auto results = RunAll(RunImageCases, kGolden);
  ExpectAllPass(results, 80);
  EXPECT_NE(results.at("preprocessing/formats/grey16.png").note.find("deliberately different"),
            std::string::npos);
}

TEST(MediaParity, SoundPasses) { ExpectAllPass(RunAll(RunAudioCases, kGolden), 29); }

TEST(MediaParity, PromptsPass) { ExpectAllPass(RunAll(RunProcessorCases, kGolden), 22); }

TEST(MediaParity, TheFilterSelects) {
  EXPECT_EQ(RunAll(RunImageCases, kGolden, {.filter = "formats/cmyk"}).size(), 1u);
}

TEST(MediaParity, AnEmptyDirectoryHasNoCases) {
  for (const Runner run : {RunImageCases, RunAudioCases, RunProcessorCases}) {
    EXPECT_TRUE(RunAll(run, std::filesystem::path(::testing::TempDir())).empty());
  }
}

class AlteredGolden : public ::testing::Test {
 protected:
  void SetUp() override {
    root_ = std::filesystem::path(::testing::TempDir()) / "altered_golden";
    std::filesystem::remove_all(root_);
    std::filesystem::create_directories(root_ / "preprocessing");
  }
  void TearDown() override { std::filesystem::remove_all(root_); }
  void Copy(const std::string& inside) {
    const auto to = root_ / "preprocessing" / inside;
    std::filesystem::create_directories(to.parent_path());
    std::filesystem::copy(kGolden / "preprocessing" / inside, to);
  }
  void Write(const std::string& inside, const std::string& text) {
    std::ofstream(root_ / "preprocessing" / inside, std::ios::binary) << text;
  }
  std::filesystem::path root_;
};

// A comparison that cannot fail shows nothing.
TEST_F(AlteredGolden, AWrongNumberFails) {
  Write("target_sizes.jsonl", R"({"height": 224, "width": 224, "70": [384, 432]})");
  EXPECT_EQ(RunAll(RunImageCases, root_).at("preprocessing/target_sizes").state, CaseState::kFail);
  Copy("wav/mono-16k-u8.wav");
  Write("wav.jsonl", R"({"file": "wav/mono-16k-u8.wav", "samples": 3200, "exact": true, "sha256": "00"})");
  EXPECT_EQ(RunAll(RunAudioCases, root_).at("preprocessing/wav/mono-16k-u8.wav").state, CaseState::kFail);
}

TEST_F(AlteredGolden, ARowWithoutItsFieldsIsAnErrorWithItsLine) {
  Write("target_sizes.jsonl", "{\"height\": 224}\n");
  const Status status = RunImageCases(root_, {}, [](const CaseResult&) {});
  ASSERT_FALSE(status.has_value());
  EXPECT_NE(status.error().what.find("target_sizes.jsonl line 1"), std::string::npos);
}

}  // namespace
}  // namespace linnet
