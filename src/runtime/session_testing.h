// For tests of sessions: small engines, random tokens, prompts with pictures.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "runtime/engine_impl.h"

namespace linnet::testing {

inline const std::string kTarget = std::string(LINNET_SOURCE_DIR) + "/tests/data/golden/model/target";

inline std::unique_ptr<Engine> Load(int threads, const std::string& model = kTarget) {
  LoadOptions options;
  options.model = model;
  options.threads = threads;
  auto engine = LoadEngine(options, false);
  EXPECT_TRUE(engine.has_value()) << (engine ? "" : engine.error().Message());
  return std::move(*engine);
}

inline std::unique_ptr<Session> Open(Engine& engine, int64_t rows, KvType kv = KvType::kF32,
                                     int64_t context = 400) {
  SessionOptions options;
  options.context = context;
  options.rows_per_call = rows;
  options.kv = kv;
  auto session = engine.NewSession(options);
  EXPECT_TRUE(session.has_value());
  return std::move(*session);
}

inline std::vector<int32_t> RandomIds(size_t n, uint32_t seed = 1) {
  std::mt19937 rng(seed);
  std::vector<int32_t> ids(n);
  for (int32_t& id : ids) id = static_cast<int32_t>(3 + rng() % 170);
  return ids;
}

inline void AddIds(Prompt& prompt, std::span<const int32_t> ids, TokenType type = TokenType::kText) {
  prompt.ids.insert(prompt.ids.end(), ids.begin(), ids.end());
  prompt.types.insert(prompt.types.end(), ids.size(), type);
}

inline void AddPicture(Prompt& prompt, const ModelConfig& config, int32_t columns, int32_t lines,
                       uint32_t seed) {
  std::mt19937 rng(seed);
  const int32_t cells = columns * lines;
  std::vector<uint8_t> pixels(static_cast<size_t>(cells * config.vision.patch_values()));
  for (uint8_t& pixel : pixels) pixel = static_cast<uint8_t>(rng() % 256);
  std::vector<int32_t> positions;
  for (int32_t i = 0; i < cells; ++i) positions.insert(positions.end(), {i % columns, i / columns});
  AddIds(prompt, {{config.tokens.begin_image}});
  AddIds(prompt, std::vector<int32_t>(static_cast<size_t>(cells), config.tokens.image), TokenType::kImage);
  AddIds(prompt, {{config.tokens.end_image}});
  prompt.images.push_back({cells, std::move(pixels), PixelScale::kDivision, std::move(positions), {}});
}

// The first tokens of a prompt, `length` being no place inside a picture.
inline Prompt Beginning(const Prompt& prompt, int64_t length) {
  Prompt begin;
  begin.ids.assign(prompt.ids.begin(), prompt.ids.begin() + length);
  begin.types.assign(prompt.types.begin(), prompt.types.begin() + length);
  int64_t cells = std::ranges::count(begin.types, TokenType::kImage);
  for (size_t i = 0; cells > 0; cells -= prompt.images[i++].rows) begin.images.push_back(prompt.images[i]);
  return begin;
}

inline std::vector<float> Logits(const Session& session) {
  return {session.logits().begin(), session.logits().end()};
}

}  // namespace linnet::testing
