#include "eval/invariants.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <string>

#include "linnet/session.h"
#include "runtime/engine_impl.h"

namespace linnet {
namespace {

Result<std::unique_ptr<Session>> Open(Engine& engine, const std::vector<int32_t>& ids, int64_t rows) {
  SessionOptions options;
  options.kv = KvType::kF32;
  options.context = static_cast<int64_t>(ids.size());
  options.rows_per_call = rows;
  return engine.NewSession(options);
}

// The logits after a text that is fed `rows` tokens at a time.
Result<std::vector<float>> Logits(Engine& engine, const std::vector<int32_t>& ids, int64_t rows) {
  LINNET_ASSIGN(const std::unique_ptr<Session> session, Open(engine, ids, rows));
  LINNET_TRY(session->Feed(ids));
  return std::vector<float>(session->logits().begin(), session->logits().end());
}

int64_t DifferingBits(const std::vector<float>& a, std::span<const float> b) {
  int64_t differing = static_cast<int64_t>(a.size() != b.size());
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i)
    differing += std::memcmp(&a[i], &b[i], sizeof(float)) != 0;
  return differing;
}

// The last token of every text in one call.
Result<std::vector<std::vector<float>>> Batched(Engine& engine, std::span<const std::vector<int32_t>> texts) {
  Engine::Impl& e = engine.impl();
  std::vector<std::unique_ptr<Session>> sessions;
  const int64_t count = static_cast<int64_t>(texts.size());
  Step step;
  step.Reserve(e.config, count, count);
  e.decoder->Reserve(count);
  e.decoder->set_probe(nullptr);
  for (const std::vector<int32_t>& ids : texts) {
    LINNET_ASSIGN(std::unique_ptr<Session> session, Open(engine, ids, 64));
    if (ids.size() > 1) {
      LINNET_TRY(session->Feed(std::span(ids).first(ids.size() - 1)));
    }
    sessions.push_back(std::move(session));
    LINNET_TRY(step.Add({.cache = &sessions.back()->impl().cache, .ids = std::span(ids).last(1)}));
  }
  LINNET_TRY(e.decoder->Forward(step));
  std::vector<std::vector<float>> result;
  for (size_t i = 0; i < texts.size(); ++i) {
    const Rows logits = step.logits(i);
    result.emplace_back(logits.row(0), logits.row(0) + logits.width);
  }
  return result;
}

}  // namespace

Result<std::vector<ProbeResult>> CheckInvariants(Engine& engine, Engine& one_thread,
                                                 std::span<const std::vector<int32_t>> texts) {
  std::vector<ProbeResult> probes;
  const auto add = [&](std::string name, int64_t differing) {
    probes.push_back({std::move(name), static_cast<double>(differing), 0, differing == 0,
                      differing == 0 ? "" : std::to_string(differing) + " logits have other bits"});
  };
  std::vector<std::vector<float>> expected;
  int64_t threads = 0;
  std::vector<int64_t> chunked(3);
  for (const std::vector<int32_t>& ids : texts) {
    LINNET_ASSIGN(std::vector<float> whole, Logits(engine, ids, 512));
    LINNET_ASSIGN(const std::vector<float> alone, Logits(one_thread, ids, 512));
    threads += DifferingBits(whole, alone);
    for (size_t i = 0; i < chunked.size(); ++i) {
      LINNET_ASSIGN(const std::vector<float> parts, Logits(engine, ids, std::array{1, 7, 64}[i]));
      chunked[i] += DifferingBits(whole, parts);
    }
    expected.push_back(std::move(whole));
  }
  add("one thread", threads);
  add("token by token", chunked[0]);
  add("chunks of 7", chunked[1]);
  add("chunks of 64", chunked[2]);
  LINNET_ASSIGN(const auto batched, Batched(engine, texts));
  int64_t differing = 0;
  for (size_t i = 0; i < texts.size(); ++i) differing += DifferingBits(expected[i], batched[i]);
  add("all texts in one call", differing);
  return probes;
}

}  // namespace linnet
