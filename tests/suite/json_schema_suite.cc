// linnet_json_schema_suite DIRECTORY: how a suite of JSON schemas with valid and invalid instances fares as
// grammars. tools/json_schema_suite.sh gets one and runs it.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "linnet/engine.h"
#include "linnet/grammar.h"
#include "runtime/token_mask.h"

namespace linnet {
namespace {

using Json = nlohmann::ordered_json;

struct Counts {
  int groups = 0, refused = 0, tests = 0, valid_rejected = 0, invalid_accepted = 0;
};

// The keys of maps in the order in which the schema names them, which a grammar asks for.
Json InOrder(const Json& schema, const Json& value) {
  if (value.is_array()) {
    Json list = Json::array();
    for (size_t i = 0; i < value.size(); ++i) {
      const Json prefix = schema.is_object() ? schema.value("prefixItems", Json::array()) : Json::array();
      const Json items = schema.is_object() ? schema.value("items", Json(true)) : Json(true);
      list.push_back(InOrder(i < prefix.size() ? prefix[i] : items, value[i]));
    }
    return list;
  }
  if (!value.is_object()) return value;
  const Json properties = schema.is_object() ? schema.value("properties", Json::object()) : Json::object();
  Json map = Json::object();
  for (const auto& [name, below] : properties.items()) {
    if (value.contains(name)) map[name] = InOrder(below, value[name]);
  }
  const Json required = schema.is_object() ? schema.value("required", Json::array()) : Json::array();
  for (const Json& name : required) {
    if (name.is_string() && value.contains(name.get<std::string>()))
      map[name.get<std::string>()] = value[name.get<std::string>()];
  }
  for (const auto& [name, item] : value.items()) {
    if (!map.contains(name)) map[name] = item;
  }
  return map;
}

bool Accepts(const Engine& engine, const Grammar& grammar, const std::string& text, int32_t end) {
  const std::unique_ptr<TokenMask> mask = grammar.NewMask();
  // The mask is not asked in between: it would have forced texts in tokens of its own choice.
  for (const int32_t id : engine.Tokenise(text)) mask->Advance(id);
  return IsAllowed(mask->Allowed(), static_cast<size_t>(end));
}

void Count(const Engine& engine, const GrammarCompiler& compiler, const Json& group, Counts& counts,
           std::map<std::string, int>& reasons) {
  ++counts.groups;
  const auto grammar =
      compiler.Compile({.kind = GrammarKind::kJsonSchema, .text = group["schema"].dump(), .choices = {}});
  if (!grammar) {
    ++counts.refused;
    ++reasons[grammar.error().what];
    return;
  }
  const int32_t end = engine.TokeniseMarked("<eos>")->back();
  for (const Json& test : group["tests"]) {
    ++counts.tests;
    const bool accepted = Accepts(engine, *grammar, InOrder(group["schema"], test["data"]).dump(), end);
    const bool valid = test["valid"];
    if (accepted == valid) continue;
    (valid ? counts.valid_rejected : counts.invalid_accepted) += 1;
    std::printf("%s: %s: %s\n", valid ? "valid rejected" : "INVALID ACCEPTED",
                group["description"].get<std::string>().c_str(),
                test["description"].get<std::string>().c_str());
  }
}

int Run(const std::string& directory) {
  const auto engine = Engine::Load({});
  const auto compiler = engine ? GrammarCompiler::Create(**engine) : std::unexpected(engine.error());
  if (!compiler) {
    std::fprintf(stderr, "%s\n", compiler.error().Message().c_str());
    return 1;
  }
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    if (entry.path().extension() == ".json") files.push_back(entry.path());
  }
  std::ranges::sort(files);
  Counts counts;
  std::map<std::string, int> reasons;
  for (const auto& file : files) {
    const Json groups = Json::parse(std::ifstream(file), nullptr, false);
    for (const Json& group : groups) Count(**engine, **compiler, group, counts, reasons);
  }
  for (const auto& [reason, times] : reasons) std::printf("%4d refused: %s\n", times, reason.c_str());
  std::printf("groups %d, refused %d; tests of the others %d, invalid accepted %d, valid rejected %d\n",
              counts.groups, counts.refused, counts.tests, counts.invalid_accepted, counts.valid_rejected);
  return counts.groups > 0 && counts.invalid_accepted == 0 ? 0 : 1;
}

}  // namespace
}  // namespace linnet

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s DIRECTORY\n", argv[0]);
    return 2;
  }
  return linnet::Run(argv[1]);
}
