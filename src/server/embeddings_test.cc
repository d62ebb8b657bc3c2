#include "server/embeddings.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <thread>

#include "server/server_testing.h"
#include "server/text_state.h"

namespace linnet {
namespace {

using testing::Chick;

std::vector<float> StateOf(const std::vector<int32_t>& ids, int64_t tokens) {
  auto session = Chick().NewSession({.context = 256});
  EXPECT_TRUE(session.has_value());
  TextState state(**session, ids);
  while (!state.done()) EXPECT_TRUE(state.Read(tokens));
  return state.Vector();
}

TEST(TextState, DoesNotDependOnHowTheTextIsCut) {
  std::vector<int32_t> ids(50);
  for (size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<int32_t>(300 + 7 * i);
  const std::vector<float> whole = StateOf(ids, 512);
  ASSERT_EQ(whole.size(), static_cast<size_t>(Chick().impl().config.hidden_size));
  double squares = 0;
  for (const float value : whole) squares += static_cast<double>(value) * value;
  EXPECT_NEAR(squares, 1, 1e-5);
  EXPECT_EQ(StateOf(ids, 7), whole);
  EXPECT_EQ(StateOf(ids, 1), whole);
}

// The state of one token is what its logits come from: the row behind the last norm, scaled.
TEST(TextState, IsTheMeanOfTheRows) {
  const std::vector<int32_t> ids = {300, 310, 320};
  std::vector<double> mean(static_cast<size_t>(Chick().impl().config.hidden_size));
  auto session = Chick().NewSession({.context = 256});
  ASSERT_TRUE(session.has_value());
  for (const int32_t id : ids) {
    ASSERT_TRUE((*session)->Feed(std::vector{id}));
    const Rows hidden = (*session)->impl().step.hidden(0);
    for (size_t i = 0; i < mean.size(); ++i) mean[i] += static_cast<double>(hidden.row(0)[i]);
  }
  double squares = 0;
  for (const double value : mean) squares += value * value;
  const std::vector<float> state = StateOf(ids, 512);
  for (size_t i = 0; i < mean.size(); ++i) EXPECT_NEAR(state[i], mean[i] / std::sqrt(squares), 1e-6);
}

double Dot(const Json& a, const Json& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i].get<double>() * b[i].get<double>();
  return sum;
}

TEST(EmbeddingServer, GivesTextsAsVectors) {
  const testing::ChickServer server;
  const Json body = {{"model", "any"}, {"input", {"turn on the light", "hello", "turn on the light"}}};
  const testing::Reply reply = server.Post("/v1/embeddings", body);
  ASSERT_EQ(reply.status, 200) << reply.body;
  const Json data = reply.json()["data"];
  ASSERT_EQ(data.size(), 3u);
  EXPECT_EQ(data[2]["index"], 2);
  EXPECT_EQ(data[0]["embedding"], data[2]["embedding"]);
  EXPECT_NEAR(Dot(data[0]["embedding"], data[0]["embedding"]), 1, 1e-5);
  EXPECT_LT(Dot(data[0]["embedding"], data[1]["embedding"]), 0.999);
  EXPECT_GT(reply.json()["usage"]["prompt_tokens"].get<int64_t>(), 3);

  std::vector<int32_t> ids = Chick().Tokenise("hello");
  ids.insert(ids.begin(), Chick().impl().config.tokens.bos);
  const Json tokens = server.Post("/v1/embeddings", {{"input", ids}}).json();
  EXPECT_EQ(tokens["data"][0]["embedding"], data[1]["embedding"]);

  const Json packed =
      server.Post("/v1/embeddings", {{"input", "hello"}, {"encoding_format", "base64"}}).json();
  std::string bytes(data[1]["embedding"].size() * sizeof(float), '\0');
  for (size_t i = 0; i < data[1]["embedding"].size(); ++i) {
    const float value = data[1]["embedding"][i].get<float>();
    std::memcpy(bytes.data() + i * sizeof value, &value, sizeof value);
  }
  EXPECT_EQ(packed["data"][0]["embedding"], testing::Base64(bytes));

  const Json ollama = server.Post("/api/embed", {{"model", "any"}, {"input", {"hello", "turn"}}}).json();
  ASSERT_EQ(ollama["embeddings"].size(), 2u);
  EXPECT_EQ(ollama["embeddings"][0], data[1]["embedding"]);
  EXPECT_EQ(server.Post("/api/embeddings", {{"prompt", "hello"}}).json()["embedding"], data[1]["embedding"]);
}

TEST(EmbeddingServer, RefusesByName) {
  const testing::ChickServer server;
  const auto wrong = [&](const Json& body) {
    const testing::Reply reply = server.Post("/v1/embeddings", body);
    EXPECT_EQ(reply.status, 400) << reply.body;
    return reply.json()["error"]["message"].get<std::string>();
  };
  EXPECT_NE(wrong({{"input", ""}}).find("input is neither a text"), std::string::npos);
  EXPECT_NE(wrong({{"input", {"a", ""}}}).find("input[1] is neither"), std::string::npos);
  EXPECT_NE(wrong({{"input", Json::array()}}).find("input is neither"), std::string::npos);
  EXPECT_NE(wrong({{"input", Json::array({99'999'999})}}).find("input has a token"), std::string::npos);
  EXPECT_NE(wrong({{"input", "a"}, {"dimensions", 3}}).find("dimensions is 3"), std::string::npos);
  EXPECT_NE(wrong({{"input", "a"}, {"encoding_format", "int8"}}).find("encoding_format"), std::string::npos);
  EXPECT_NE(
      wrong({{"input", std::vector<int>(2000, 300)}}).find("has 2000 tokens and the context holds 1024"),
      std::string::npos);
}

// Beside answers that are written: neither changes the other.
TEST(EmbeddingServer, IsReadBesideAnswers) {
  const testing::ChickServer server;
  const Json chat = {{"temperature", 0},
                     {"max_tokens", 16},
                     {"messages", {{{"role", "user"}, {"content", "how much is 3 plus 4"}}}}};
  const Json text = {{"input", std::string(200, 'a') + " turn on the light"}};
  const Json alone = server.Post("/v1/embeddings", text).json()["data"];
  const Json answer = server.Post("/v1/chat/completions", chat).json()["choices"];
  std::vector<std::thread> threads;
  for (int i = 0; i < 6; ++i) {
    threads.emplace_back([&, i] {
      if (i % 2 == 0) {
        EXPECT_EQ(server.Post("/v1/embeddings", text).json()["data"], alone);
      } else {
        EXPECT_EQ(server.Post("/v1/chat/completions", chat).json()["choices"], answer);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace linnet
