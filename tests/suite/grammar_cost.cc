// linnet_grammar_cost MODEL: what structured output costs with the vocabulary of a model: setting it up,
// compiling, and the masks of answers by chance.
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "base/stopwatch.h"
#include "linnet/engine.h"
#include "linnet/grammar.h"
#include "runtime/token_mask.h"

namespace linnet {
namespace {

struct Form {
  const char* name;
  std::string schema;
};

// Of this thread: what others do meanwhile does not count.
double ProcessorSeconds() {
  timespec time = {};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

double ResidentMegabytes() {
  double total = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> total >> resident;  // in pages
  return 1e-6 * 4096 * resident;
}

std::vector<Form> Forms() {
  std::string values;
  for (int i = 0; i < 1000; ++i)
    values += (i == 0 ? "" : ",") + ("\"value number " + std::to_string(i)) + "\"";
  return {
      {"any object", R"({"type":"object"})"},
      {"a person",
       R"({"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer",)"
       R"("minimum":0,"maximum":150},)"
       R"("email":{"type":"string","format":"email"},"tags":{"type":"array","items":{"type":"string"}}},)"
       R"("required":["name","age"],"additionalProperties":false})"},
      {"a long text", R"({"type":"object","properties":{"text":{"type":"string","maxLength":2000}},)"
                      R"("required":["text"],"additionalProperties":false})"},
      {"one of 1,000", R"({"enum":[)" + values + "]}"},
      {"a tree",
       R"({"type":"object","properties":{"n":{"type":"number"},"next":{"$ref":"#"}},"required":["n"]})"},
  };
}

void Measure(const Grammar& grammar, int64_t vocabulary, const std::string& name, double compile) {
  std::vector<double> times;
  std::mt19937 rng(1);
  double clones = 0;
  for (int answer = 0; answer < 20; ++answer) {
    const double begin = ProcessorSeconds();
    const std::unique_ptr<TokenMask> mask = grammar.NewMask();
    clones += ProcessorSeconds() - begin;
    for (int step = 0; step < 60; ++step) {
      const double asked = ProcessorSeconds();
      const AllowedWords words = mask->Allowed();
      times.push_back(ProcessorSeconds() - asked);
      std::vector<int32_t> allowed;
      for (int32_t id = 0; id < vocabulary; ++id) {
        if (IsAllowed(words, static_cast<size_t>(id))) allowed.push_back(id);
      }
      if (allowed.empty()) break;
      const double told = ProcessorSeconds();
      mask->Advance(allowed[rng() % allowed.size()]);
      times.back() += ProcessorSeconds() - told;
    }
  }
  std::ranges::sort(times);
  const double mean = std::accumulate(times.begin(), times.end(), 0.0) / static_cast<double>(times.size());
  std::printf(
      "%-14s compiled in %6.2f ms, begun in %5.0f us; a token: mean %5.0f us, 99 %% %5.0f us, worst %5.0f "
      "us\n",
      name.c_str(), 1e3 * compile, 1e6 * clones / 20, 1e6 * mean, 1e6 * times[times.size() * 99 / 100],
      1e6 * times.back());
}

int Run(const std::string& model) {
  const auto engine = Engine::Load({.model = model});
  if (!engine) return std::fprintf(stderr, "%s\n", engine.error().Message().c_str()), 1;
  const double before = ResidentMegabytes();
  const double begin = ProcessorSeconds();
  const auto compiler = GrammarCompiler::Create(**engine);
  if (!compiler) return std::fprintf(stderr, "%s\n", compiler.error().Message().c_str()), 1;
  std::printf("set up in %.2f s with %.0f MB\n", ProcessorSeconds() - begin, ResidentMegabytes() - before);
  const int64_t vocabulary = (*engine)->facts().vocabulary;
  const auto measure = [&](const std::string& name, const auto& compile) {
    const Clock::time_point started = Clock::now();
    const Result<Grammar> grammar = compile();
    if (!grammar)
      return (void)std::fprintf(stderr, "%s: %s\n", name.c_str(), grammar.error().Message().c_str());
    Measure(*grammar, vocabulary, name, SecondsSince(started));
  };
  for (const Form& form : Forms()) {
    measure(form.name, [&] {
      return (*compiler)->Compile({.kind = GrammarKind::kJsonSchema, .text = form.schema, .choices = {}});
    });
  }
  const std::string tools =
      R"([{"type":"function","function":{"name":"weather","strict":true,"parameters":)" + Forms()[1].schema +
      "}}]";
  // What texts of calls are, with a special token that every model has.
  measure("a call's text", [&] {
    return (*compiler)->Compile(
        {.kind = GrammarKind::kLark,
         .text = "start: <[2]> T <[2]>\nT: /(?s:.{1,})/ & ~/(?s:.*)<\\|\"\\|>(?s:.*)/",
         .choices = {}});
  });
  measure("tools", [&] { return (*compiler)->CompileTools(tools); });
  return 0;
}

}  // namespace
}  // namespace linnet

int main(int argc, char** argv) {
  if (argc != 2) return std::fprintf(stderr, "usage: %s MODEL\n", argv[0]), 2;
  return linnet::Run(argv[1]);
}
