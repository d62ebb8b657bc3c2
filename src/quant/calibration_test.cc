// What is learnt of inputs, and what rounding makes of it.
#include "quant/calibration.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "linnet/session.h"
#include "model/model_files.h"
#include "quant/matrix_encoder.h"
#include "runtime/engine_impl.h"
#include "tensor/block_format.h"

namespace linnet {
namespace {

const std::string kReferences = std::string(LINNET_SOURCE_DIR) + "/tests/data/formats/model/";

// The sums of another implementation for the same ids, position 0 included. It computes in float32, without
// the rounding of the embedding's factor that a bfloat16 model has.
TEST(CalibrationTest, ImportanceIsThatOfTheReference) {
  auto files = OpenModel(kReferences + "bf16", "", "");
  ASSERT_TRUE(files) << files.error().Message();
  files->config.embed_scale_bf16 = false;
  auto engine = EngineOf({files->config, *files->text}, 2);
  ASSERT_TRUE(engine) << engine.error().Message();
  Engine::Impl& impl = (*engine)->impl();
  const auto reference = Importance::Read(kReferences + "imatrix.gguf");
  ASSERT_TRUE(reference) << reference.error().Message();
  std::ifstream file(kReferences + "imatrix.json");
  const auto ids = nlohmann::json::parse(file)["ids"].get<std::vector<int32_t>>();
  const auto read = [&](bool first) {
    Calibration calibration(impl.config, {.first_positions = first}, impl.shared_pool,
                            impl.context.kernels());
    auto session = (*engine)->NewSession({.context = 64, .kv = KvType::kF32});
    (*session)->impl().probe = &calibration;
    calibration.BeginText();
    EXPECT_TRUE((*session)->Feed(ids));
    return calibration.importance();
  };
  const Importance importance = read(true);
  for (const auto& [name, entry] : reference->entries()) {
    const auto it = importance.entries().find(name);
    ASSERT_NE(it, importance.entries().end()) << name;
    EXPECT_EQ(it->second.count, entry.count) << name;
    ASSERT_EQ(it->second.squares.size(), entry.squares.size()) << name;
    for (size_t i = 0; i < entry.squares.size(); ++i) {
      ASSERT_NEAR(it->second.squares[i], entry.squares[i], 1e-4f * entry.squares[i] + 1e-6f)
          << name << " " << i;
    }
  }
  EXPECT_EQ(importance.size(), reference->size() + 1) << "and the head";
  EXPECT_EQ(importance.Of("token_embd.weight").data(), importance.Of("output.weight").data());
  EXPECT_EQ(read(false).entries().at("output.weight").count, static_cast<float>(ids.size() - 1));
}

// Inputs of which neighbours go together.
std::vector<float> Inputs(size_t rows, size_t width, uint32_t seed) {
  std::mt19937 rng(seed);
  std::normal_distribution<float> normal;
  std::vector<float> x(rows * width);
  for (size_t r = 0; r < rows; ++r) {
    float before = 0;
    for (size_t i = 0; i < width; ++i) x[r * width + i] = before = 0.9f * before + 0.4f * normal(rng);
  }
  return x;
}

std::vector<float> ProductsOf(const std::vector<float>& x, size_t width) {
  std::vector<float> products(width * width);
  for (size_t r = 0; r < x.size() / width; ++r) {
    for (size_t i = 0; i < width; ++i) {
      for (size_t j = 0; j < width; ++j) products[i * width + j] += x[r * width + i] * x[r * width + j];
    }
  }
  return products;
}

// Of x (w - q): what the outputs are off by.
double OutputError(const std::vector<float>& x, const std::vector<float>& w, const std::vector<float>& q,
                   size_t width) {
  double sum = 0;
  for (size_t row = 0; row < w.size(); row += width) {
    for (size_t r = 0; r < x.size(); r += width) {
      double off = 0;
      for (size_t i = 0; i < width; ++i) off += x[r + i] * (w[row + i] - q[row + i]);
      sum += off * off;
    }
  }
  return sum;
}

TEST(CalibrationTest, ErrorsAreMadeGoodByColumnsThatGoTogether) {
  constexpr size_t kWidth = 256, kRows = 40;
  std::mt19937 rng(3);
  std::normal_distribution<float> normal(0.0f, 0.02f);
  std::vector<float> w(kRows * kWidth);
  for (float& value : w) value = normal(rng);
  const std::vector<float> seen = Inputs(1024, kWidth, 1), unseen = Inputs(512, kWidth, 2);
  ThreadPool pool(2), one(1);
  Feedback whole, halves;
  whole.factors.emplace_back(ProductsOf(seen, kWidth), kWidth, kDamping, pool);
  std::vector<float> left, right;
  for (size_t r = 0; r < seen.size(); r += kWidth) {
    left.insert(left.end(), seen.begin() + static_cast<ptrdiff_t>(r),
                seen.begin() + static_cast<ptrdiff_t>(r + 128));
    right.insert(right.end(), seen.begin() + static_cast<ptrdiff_t>(r + 128),
                 seen.begin() + static_cast<ptrdiff_t>(r + 256));
  }
  halves.factors.emplace_back(ProductsOf(left, 128), 128, kDamping, pool);
  halves.factors.emplace_back(ProductsOf(right, 128), 128, kDamping, pool);
  MatrixEncoder encoder(pool), alone(one);
  for (const Dtype dtype :
       {Dtype::kQ4_0, Dtype::kQ4K, Dtype::kQ3K, Dtype::kIq4Xs, Dtype::kQ5K, Dtype::kQ6K}) {
    const auto error = [&](const Feedback* feedback) {
      EncodingLoss loss;
      const auto blocks = encoder.Encode(dtype, w, kWidth, {{}, feedback}, loss);
      EncodingLoss again;
      EXPECT_TRUE(std::ranges::equal(blocks, alone.Encode(dtype, w, kWidth, {{}, feedback}, again)));
      EXPECT_EQ(loss.error, again.error);
      std::vector<float> q(w.size());
      DecodeRow(dtype, blocks.data(), q);
      return OutputError(unseen, w, q, kWidth);
    };
    const double plain = error(nullptr), with = error(&whole), parts = error(&halves);
    EXPECT_LT(with, 0.6 * plain) << GetDtypeInfo(dtype).name;
    EXPECT_LT(parts, 0.65 * plain) << GetDtypeInfo(dtype).name;
  }
}

TEST(CalibrationTest, WeightsOnALatticeStayThereWithFeedback) {
  constexpr size_t kWidth = 64;
  std::mt19937 rng(4);
  std::vector<float> w(16 * kWidth), q(w.size());
  for (float& value : w) value = static_cast<float>(static_cast<int>(rng() % 15) - 7) * 0.0078125f;
  ThreadPool pool(1);
  Feedback feedback;
  feedback.factors.emplace_back(ProductsOf(Inputs(256, kWidth, 1), kWidth), kWidth, kDamping, pool);
  EncodingLoss loss;
  DecodeRow(Dtype::kQ4_0, MatrixEncoder(pool).Encode(Dtype::kQ4_0, w, kWidth, {{}, &feedback}, loss).data(),
            q);
  EXPECT_EQ(q, w);
  EXPECT_EQ(loss.exact, loss.blocks);
}

// Inputs that were never anything but zero say nothing, those that are always the same not much.
TEST(CalibrationTest, InputsWithoutAnyContentBreakNothing) {
  constexpr size_t kWidth = 32;
  ThreadPool pool(1);
  const std::vector<float> w = Inputs(4, kWidth, 9);
  for (const float value : {0.0f, 1.0f, 1e-20f, 1e15f}) {
    Feedback feedback;
    feedback.factors.emplace_back(std::vector<float>(kWidth * kWidth, value), kWidth, kDamping, pool);
    EXPECT_EQ(feedback.factors[0].empty(), value == 0.0f);
    EncodingLoss loss;
    MatrixEncoder(pool).Encode(Dtype::kQ4_0, w, kWidth, {{}, &feedback}, loss);
    EXPECT_LT(loss.relative(), 0.1);
  }
}

}  // namespace
}  // namespace linnet
