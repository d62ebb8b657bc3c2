// Importances in llama.cpp's two forms, as its programs write them and as others may.
#include "quant/importance.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <iterator>
#include <random>
#include <string>

#include "base/directory_testing.h"

namespace linnet {
namespace {

const std::string kData = std::string(LINNET_SOURCE_DIR) + "/tests/data/formats/model/";

class ImportanceTest : public DirectoryTest {};

std::string ReadBytes(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void ExpectSameMeans(const Importance& a, const Importance& b) {
  ASSERT_EQ(a.size(), b.size());
  for (const auto& [name, entry] : a.entries()) {
    const auto x = a.Of(name), y = b.Of(name);
    ASSERT_EQ(x.size(), y.size()) << name;
    for (size_t i = 0; i < x.size(); ++i) ASSERT_NEAR(x[i], y[i], 1e-6f * x[i]) << name;
  }
}

TEST_F(ImportanceTest, BothFormsHoldTheSameMeans) {
  const auto gguf = Importance::Read(kData + "imatrix.gguf"), dat = Importance::Read(kData + "imatrix.dat");
  ASSERT_TRUE(gguf && dat) << (gguf ? dat.error().Message() : gguf.error().Message());
  EXPECT_EQ(gguf->size(), 47u);
  ExpectSameMeans(*gguf, *dat);
  EXPECT_EQ(dat->datasets, (std::vector<std::string>{"calibration.txt"}));
  EXPECT_EQ(dat->datasets, gguf->datasets);
  EXPECT_EQ(gguf->Of("blk.0.attn_q.weight").size(), 32u);
  EXPECT_TRUE(gguf->Of("blk.99.attn_q.weight").empty());
}

TEST_F(ImportanceTest, WhatIsWrittenReadsBack) {
  const auto read = Importance::Read(kData + "imatrix.gguf");
  ASSERT_TRUE(read);
  for (const char* name : {"again.gguf", "again.dat"}) {
    ASSERT_TRUE(read->Write(File(name)));
    const auto again = Importance::Read(File(name));
    ASSERT_TRUE(again) << again.error().Message();
    ExpectSameMeans(*read, *again);
    EXPECT_EQ(again->datasets, read->datasets);
    EXPECT_EQ(again->chunks, read->chunks);
  }
  EXPECT_EQ(ReadBytes(File("again.dat")), ReadBytes(kData + "imatrix.dat")) << "one chunk: the same numbers";
}

TEST_F(ImportanceTest, DamagedFilesAreRefused) {
  std::mt19937 rng(1);
  for (const char* name : {"imatrix.gguf", "imatrix.dat"}) {
    const std::string good = ReadBytes(kData + name);
    for (int i = 0; i < 300; ++i) {
      std::string bad = good;
      if (i % 2 == 0) bad.resize(rng() % bad.size());
      for (int flips = 0; flips < 3 && !bad.empty(); ++flips) {
        bad[rng() % std::min<size_t>(bad.size(), 4000)] ^= static_cast<char>(1 << rng() % 8);
      }
      std::ofstream(File("bad"), std::ios::binary) << bad;
      const auto read = Importance::Read(File("bad"));
      if (!read) continue;
      for (const auto& [matrix, entry] : read->entries()) {
        for (const float value : read->Of(matrix)) ASSERT_TRUE(std::isfinite(value) && value >= 0);
      }
    }
  }
  std::ofstream(File("text")) << "this is no importance matrix at all, it is a text";
  EXPECT_FALSE(Importance::Read(File("text")));
  EXPECT_FALSE(Importance::Read(File("missing")));
  std::ofstream(File("empty"), std::ios::binary) << "";
  EXPECT_FALSE(Importance::Read(File("empty")));
}

}  // namespace
}  // namespace linnet
