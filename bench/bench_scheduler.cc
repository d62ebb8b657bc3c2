// What many conversations bring, and what the scheduler takes for itself: a model writes with 1, 4, 8 and 16
// turns at once, and in turns with that the decoder alone computes calls of as many rows.
// Usage: linnet_bench_scheduler [SYNTHETIC [TOKENS]], as 12b@6:q4_0 24; without it is Chick, 120 tokens.
#include <algorithm>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include <fmt/core.h>

#include "base/stopwatch.h"
#include "bench_engine.h"
#include "eval/median.h"
#include "linnet/engine.h"
#include "model/model_files.h"
#include "runtime/conversation.h"
#include "runtime/load_tokenizer.h"
#include "runtime/scheduler.h"

namespace linnet {
namespace {

constexpr int kRepeat = 7;

// Nothing ends an answer but its length.
class NoEnd : public TokenMask {
 public:
  explicit NoEnd(const ModelConfig& config)
      : words_((static_cast<size_t>(config.vocab_size) + 31) / 32, ~uint32_t{0}) {
    for (size_t id = 0; id < 256; ++id) words_[id / 32] &= ~(uint32_t{1} << (id % 32));  // special tokens
    for (const int32_t id : config.tokens.eos)
      words_[static_cast<size_t>(id) / 32] &= ~(uint32_t{1} << (id % 32));
  }
  AllowedWords Allowed() override { return words_; }
  void Advance(int32_t) override {}
  void RollBack(int64_t) override {}

 private:
  std::vector<uint32_t> words_;
};

Prompt Question() {
  Prompt prompt;
  for (int32_t id = 300; id < 320; ++id) prompt.ids.push_back(id);
  prompt.types.assign(prompt.ids.size(), TokenType::kText);
  return prompt;
}

// Tokens a second of `count` turns that write together.
double Turns(Engine& engine, int64_t count, int64_t tokens) {
  NoEnd mask(engine.impl().config);
  const Prompt prompt = Question();
  GenerateOptions options;
  options.sampling.temperature = 0.0f;
  options.max_tokens = tokens;
  options.draft = 0;
  options.mask = &mask;
  std::vector<std::unique_ptr<Session>> sessions;
  std::vector<std::unique_ptr<Turn>> turns;
  Scheduler scheduler = Must(Scheduler::Create(engine, {.turns = count}));
  for (int64_t i = 0; i < count; ++i) {
    sessions.push_back(Must(engine.NewSession({.context = 256})));
    turns.push_back(Must(Turn::Begin(engine, *sessions.back(), prompt.ids, options)));
    Must(scheduler.Add(*turns.back()));
  }
  scheduler.RunStep();  // reads the prompts, all within one step's rows
  const Clock::time_point begin = Clock::now();
  while (!scheduler.empty()) scheduler.RunStep();
  const double seconds = SecondsSince(begin);
  int64_t written = 0;
  for (const auto& turn : turns) written += Must(turn->Finish()).stats.decode_steps;
  return static_cast<double>(written) / seconds;
}

// The same of calls of `count` rows, with nothing around them.
double Calls(Engine& engine, int64_t count, int64_t tokens) {
  Engine::Impl& e = engine.impl();
  std::vector<std::unique_ptr<Session>> sessions;
  const Prompt prompt = Question();
  for (int64_t i = 0; i < count; ++i) {
    sessions.push_back(Must(engine.NewSession({.context = 256})));
    Must(sessions.back()->impl().Feed(prompt));
  }
  Step step;
  step.Reserve(e.config, count, count);
  e.decoder->Reserve(count);
  const int32_t id = 301;
  const Clock::time_point begin = Clock::now();
  for (int64_t t = 1; t < tokens; ++t) {
    step.Clear();
    for (const auto& session : sessions) Must(step.Add({.cache = &session->impl().cache, .ids = {&id, 1}}));
    Must(e.RunStep(step, nullptr, nullptr));
  }
  return static_cast<double>((tokens - 1) * count) / SecondsSince(begin);
}

// Made-up weights write in Chick's words; tokens beyond them have no text.
std::unique_ptr<Engine> Open(const std::string& shape) {
  std::unique_ptr<Engine> engine = OpenEngine(shape);
  if (!shape.empty()) engine->impl().tokenizer = Must(LoadTokenizer(Must(OpenModel("", "", "", false))));
  return engine;
}

}  // namespace
}  // namespace linnet

int main(int argc, char** argv) {
  using namespace linnet;
  const auto engine = Open(argc > 1 ? argv[1] : "");
  const int64_t tokens = argc > 2 ? std::atoll(argv[2]) : 120;
  std::vector<double> one;
  for (const int64_t count : {1, 4, 8, 16}) {
    std::vector<double> turns, shares;
    for (int i = 0; i < kRepeat; ++i) {
      const double calls = Calls(*engine, count, tokens);
      turns.push_back(Turns(*engine, count, tokens));
      shares.push_back(turns.back() / calls);
    }
    if (count == 1) one = turns;
    fmt::print("{:2} conversations: {:7.0f} tokens/s, {:4.2f} of one call of {} rows, {:.2f} times one\n",
               count, Median(turns), Median(shares), count, Median(turns) / Median(one));
  }
}
