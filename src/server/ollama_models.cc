#include "server/ollama_models.h"

#include <fmt/format.h>

#include <string>
#include <variant>

#include "model/layer_tensors.h"
#include "runtime/engine_impl.h"
#include "runtime/sha256.h"
#include "tensor/dtype.h"

namespace linnet {
namespace {

// Which edition of Ollama's protocol this is. Clients look here for what they may ask for.
constexpr const char* kProtocol = "0.13.0";
// It never goes.
constexpr const char* kForever = "2318-01-01T00:00:00Z";

int64_t Values(const Matrix& matrix) { return matrix.n * matrix.k; }
int64_t Values(const Vector& vector) { return static_cast<int64_t>(vector.size()); }
int64_t Values(float) { return 1; }

int64_t Parameters(const Engine& engine) {
  const Weights& weights = engine.impl().weights;
  int64_t count = Values(weights.embed_tokens) + Values(weights.norm) + Values(weights.vision.patch_dense) +
                  Values(weights.vision.position_x) + Values(weights.vision.position_y) +
                  Values(weights.vision.projection) + Values(weights.audio.projection);
  for (const LayerWeights& layer : weights.layers) {
    for (const LayerTensor& tensor : LayerTensors()) {
      count += std::visit([&](const auto place) { return Values(layer.*place); }, tensor.place);
    }
  }
  return count;
}

std::string InBillions(int64_t parameters) {
  const double count = static_cast<double>(parameters);
  return parameters >= 1'000'000'000 ? fmt::format("{:.1f}B", count / 1e9)
                                     : fmt::format("{:.0f}M", count / 1e6);
}

// Of most of its weights.
std::string FormatName(const Engine& engine) {
  const PanelFormat format = engine.impl().weights.layers.front().gate_proj.format;
  for (int i = 0; i < kDtypeCount; ++i) {
    const DtypeInfo& info = GetDtypeInfo(static_cast<Dtype>(i));
    if (info.held == info.dtype && PanelFormatOf(info.dtype) == format) return std::string(info.name);
  }
  return "unknown";
}

std::string Family(const Engine& engine) {
  const std::string type = engine.facts().type;
  return type.substr(0, type.find('_'));
}

Json Details(const Engine& engine) {
  return {{"parent_model", ""},
          {"format", "gguf"},
          {"family", Family(engine)},
          {"families", {Family(engine)}},
          {"parameter_size", InBillions(Parameters(engine))},
          {"quantization_level", FormatName(engine)}};
}

// A name of its content, which clients compare.
std::string Digest(const ServedModel& model) {
  const ModelFingerprint& fingerprint = model.engine.impl().fingerprint;
  const std::string text = model.name + "\n" + fingerprint.text + "\n" + fingerprint.multimodal;
  return Sha256Hex({reinterpret_cast<const uint8_t*>(text.data()), text.size()});
}

Json Entry(const ServedModel& model) {
  return {{"name", model.name},
          {"model", model.name},
          {"modified_at", TimeText(model.created)},
          {"size", model.engine.facts().weight_bytes},
          {"digest", Digest(model)},
          {"details", Details(model.engine)}};
}

Json Capabilities(const Engine& engine) {
  const ModelFacts facts = engine.facts();
  Json list = Json::array({"completion"});
  if (facts.sees) list.push_back("vision");
  if (facts.hears) list.push_back("audio");
  if (Family(engine) == "gemma4") {
    list.push_back("tools");
    list.push_back("thinking");
  }
  return list;
}

Json ModelInfo(const ServedModel& model) {
  const Engine::Impl& impl = model.engine.impl();
  const std::string family = Family(model.engine);
  return {{"general.architecture", family},
          {"general.basename", model.name},
          {"general.parameter_count", Parameters(model.engine)},
          {family + ".context_length", model.context},
          {family + ".embedding_length", impl.config.hidden_size},
          {family + ".block_count", impl.config.layers.size()},
          {family + ".attention.head_count", impl.config.num_attention_heads},
          {family + ".vocab_size", impl.config.vocab_size}};
}

// What the model samples with where a request says nothing, as a Modelfile has it.
std::string ParametersText(const ServedModel& model) {
  const GenerationDefaults& own = model.engine.impl().config.generation;
  return fmt::format("num_ctx {}\ntemperature {}\ntop_k {}\ntop_p {}", model.context,
                     own.do_sample ? own.temperature : 0.0f, own.top_k, own.top_p);
}

Asked ModelAnswer(Json json) {
  Asked asked;
  asked.at_once = HttpAnswer{.body = Dump(json)};
  return asked;
}

}  // namespace

Result<Asked> OllamaTags(const ServedModel& model, const HttpRequest&) {
  return ModelAnswer({{"models", Json::array({Entry(model)})}});
}

Result<Asked> OllamaRunning(const ServedModel& model, const HttpRequest&) {
  Json entry = Entry(model);
  entry["expires_at"] = kForever;
  entry["size_vram"] = 0;  // all of it lies in the machine's own memory
  entry["context_length"] = model.context;
  return ModelAnswer({{"models", Json::array({std::move(entry)})}});
}

Result<Asked> OllamaShow(const ServedModel& model, const HttpRequest& request) {
  LINNET_ASSIGN(const Json json, ParseObject(request.body));
  const Fields body(json);
  LINNET_ASSIGN(const auto name, body.Text(body.has("model") ? "model" : "name"));
  if (!name) return body.Wrong("model", "is missing", "give a name; this server has one model for all");
  // Clients look into the template for what the model can do; the real one is part of this program.
  const bool tools = Family(model.engine) == "gemma4";
  return ModelAnswer(
      {{"modelfile", "FROM " + model.name},
       {"parameters", ParametersText(model)},
       {"template", tools ? "{{ .System }}{{ .Tools }}{{ .Messages }}" : "{{ .System }}{{ .Messages }}"},
       {"license", ""},
       {"details", Details(model.engine)},
       {"model_info", ModelInfo(model)},
       {"capabilities", Capabilities(model.engine)},
       {"modified_at", TimeText(model.created)}});
}

Result<Asked> OllamaVersion(const ServedModel&, const HttpRequest&) {
  return ModelAnswer({{"version", kProtocol}});
}

Result<Asked> OllamaPull(const ServedModel& model, const HttpRequest& request) {
  LINNET_ASSIGN(const Json json, ParseObject(request.body));
  LINNET_ASSIGN(const auto stream, Fields(json).Flag("stream"));
  Asked asked = ModelAnswer({{"status", "success"}});
  if (stream.value_or(true)) {
    const Json first = {{"status", "nothing is fetched: " + model.name + " answers to every name"}};
    asked.at_once->type = "application/x-ndjson";
    asked.at_once->body = Dump(first) + "\n" + asked.at_once->body + "\n";
  }
  return asked;
}

}  // namespace linnet
