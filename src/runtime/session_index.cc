#include "runtime/session_index.h"

#include <array>
#include <optional>
#include <utility>

#include "text/tool_syntax.h"

namespace linnet {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kIndexDepth = kMaxToolDepth + 8;  // a call's arguments lie in a message of the list
constexpr std::array kKvTypes = {KvType::kF32, KvType::kBf16, KvType::kInt8};

Json ExtentJson(const Extent& extent) { return {extent.at, extent.bytes, extent.sum}; }

Json ExtentsJson(const std::vector<Extent>& extents) {
  Json list = Json::array();
  for (const Extent& extent : extents) list.push_back(ExtentJson(extent));
  return list;
}

template <typename T>
Json OptionalJson(const std::optional<T>& value) {
  return value ? Json(*value) : Json();
}

Json SamplingJson(const SamplingOptions& sampling) {
  return {{"temperature", OptionalJson(sampling.temperature)},
          {"top_k", OptionalJson(sampling.top_k)},
          {"top_p", OptionalJson(sampling.top_p)},
          {"min_p", sampling.min_p},
          {"repetition_penalty", sampling.repetition_penalty},
          {"seed", sampling.seed}};
}

Json MessageJson(const SessionIndex::Message& message) {
  Json json = {{"message", message.json}};
  const WrittenTurn& written = message.written;
  if (!written.thought.empty() || !written.calls.empty() || !written.text.empty()) {
    json["written"] = {{"thought", written.thought}, {"calls", written.calls}, {"text", written.text}};
  }
  for (const SessionIndex::StoredMedium& medium : message.media) {
    json["media"].push_back(
        {{"shape", medium.shape}, {"sha256", medium.sha256}, {"extent", ExtentJson(medium.extent)}});
  }
  return json;
}

// Reading throws what the JSON library throws where something is missing or of another type; DecodeIndex()
// catches it.
Extent ExtentOf(const Json& json) {
  const auto number = [&](size_t i) { return json.at(i).get_ref<const Json::number_unsigned_t&>(); };
  return {number(0), number(1), number(2)};
}

// A number that cannot be a token becomes -1, which no vocabulary has.
std::vector<int32_t> IdsOf(const Json& json) {
  std::vector<int32_t> ids;
  for (const Json& item : json) {
    const int64_t id = item.is_number_integer() ? item.get<int64_t>() : -1;
    ids.push_back(std::in_range<int32_t>(id) ? static_cast<int32_t>(id) : -1);
  }
  return ids;
}

std::vector<Extent> ExtentsOf(const Json& json) {
  std::vector<Extent> extents;
  for (const Json& extent : json) extents.push_back(ExtentOf(extent));
  return extents;
}

template <typename T>
std::optional<T> OptionalOf(const Json& json) {
  return json.is_null() ? std::nullopt : std::optional<T>(json.get<T>());
}

SamplingOptions SamplingOf(const Json& json) {
  return {.temperature = OptionalOf<float>(json.at("temperature")),
          .top_k = OptionalOf<int32_t>(json.at("top_k")),
          .top_p = OptionalOf<float>(json.at("top_p")),
          .min_p = json.at("min_p").get<float>(),
          .repetition_penalty = json.at("repetition_penalty").get<float>(),
          .seed = json.at("seed").get<uint64_t>()};
}

SessionOptions OptionsOf(const Json& json) {
  SessionOptions options;
  options.context = json.at("context").get<int64_t>();
  options.mask_rule = json.at("mask_rule").get<std::string>() == "b" ? MaskRule::kB : MaskRule::kA;
  const std::string kv = json.at("kv").get<std::string>();
  for (const KvType type : kKvTypes) {
    if (kv == NameOf(type)) options.kv = type;
  }
  return options;
}

// What the history looks into without asking whether it is there.
void CheckMessage(const Json& message) {
  (void)message.at("role").get_ref<const std::string&>();
  const Json& content = message.at("content");
  if (!content.is_array() || message.contains("summary")) {
    (void)content.get_ref<const std::string&>();
  } else {
    for (const Json& part : content) {
      if (part.at("type").get_ref<const std::string&>() == "text") {
        (void)part.at("text").get_ref<const std::string&>();
      }
    }
  }
  if (const auto calls = message.find("tool_calls"); calls != message.end()) {
    for (const Json& call : calls->get_ref<const Json::array_t&>()) {
      (void)call.at("id").get_ref<const std::string&>();
      (void)call.at("function").at("name").get_ref<const std::string&>();
      (void)call.at("function").at("arguments");
    }
  }
}

SessionIndex::Message MessageOf(const Json& json) {
  SessionIndex::Message message;
  message.json = json.at("message");
  CheckMessage(message.json);
  if (const auto written = json.find("written"); written != json.end()) {
    message.written = {IdsOf(written->at("thought")), IdsOf(written->at("calls")),
                       IdsOf(written->at("text"))};
  }
  if (const auto media = json.find("media"); media != json.end()) {
    for (const Json& medium : *media) {
      (void)medium.at("shape").at("kind").get_ref<const std::string&>();
      message.media.push_back(
          {medium.at("shape"), medium.at("sha256").get<std::string>(), ExtentOf(medium.at("extent"))});
    }
  }
  return message;
}

SessionIndex IndexOf(const Json& json) {
  SessionIndex index;
  index.program = json.at("linnet").get<std::string>();
  const Json& model = json.at("model");
  index.model = model.at("name").get<std::string>();
  index.fingerprint = {model.at("text").get<std::string>(), model.at("multimodal").get<std::string>()};
  index.options = OptionsOf(json.at("options"));
  index.sampling = SamplingOf(json.at("sampling"));
  index.setup = {json.at("system").get<std::string>(), json.at("tools").get<std::string>(),
                 json.at("thinking").get<bool>()};
  for (const Json& message : json.at("messages")) index.messages.push_back(MessageOf(message));
  index.held = IdsOf(json.at("tokens"));
  index.pages = ExtentsOf(json.at("pages"));
  index.rings = ExtentsOf(json.at("rings"));
  return index;
}

}  // namespace

std::vector<Extent> SessionIndex::Extents() const {
  std::vector<Extent> extents = pages;
  extents.insert(extents.end(), rings.begin(), rings.end());
  for (const StoredMedium* medium : Media()) {
    // The same medium may be in several messages.
    if (std::ranges::find(extents, medium->extent) == extents.end()) extents.push_back(medium->extent);
  }
  return extents;
}

std::vector<const SessionIndex::StoredMedium*> SessionIndex::Media() const {
  std::vector<const StoredMedium*> media;
  for (const Message& message : messages) {
    for (const StoredMedium& medium : message.media) media.push_back(&medium);
  }
  return media;
}

Result<std::string> EncodeIndex(const SessionIndex& index) {
  Json json = {{"linnet", index.program},
               {"model",
                {{"name", index.model},
                 {"text", index.fingerprint.text},
                 {"multimodal", index.fingerprint.multimodal}}},
               {"options",
                {{"context", index.options.context},
                 {"kv", NameOf(index.options.kv)},
                 {"mask_rule", index.options.mask_rule == MaskRule::kB ? "b" : "a"}}},
               {"sampling", SamplingJson(index.sampling)},
               {"system", index.setup.system},
               {"tools", index.setup.tools},
               {"thinking", index.setup.thinking}};
  json["messages"] = Json::array();
  for (const SessionIndex::Message& message : index.messages)
    json["messages"].push_back(MessageJson(message));
  json["tokens"] = index.held;
  json["pages"] = ExtentsJson(index.pages);
  json["rings"] = ExtentsJson(index.rings);
  if (DeeperThan(json, kIndexDepth)) {
    return Fail(ErrorCode::kInvalidArgument,
                "the arguments of a tool call are nested too deep for a session file");
  }
  try {
    return json.dump();
  } catch (const Json::exception&) {
    return Fail(ErrorCode::kInvalidArgument, "a message is not UTF-8, so it cannot be saved",
                "give texts in UTF-8");
  }
}

Result<SessionIndex> DecodeIndex(std::string_view text) {
  const Json json = Json::parse(text, nullptr, false);
  const auto wrong = [] { return Fail(ErrorCode::kBadFile, "its index is not Linnet's"); };
  if (!json.is_object() || DeeperThan(json, kIndexDepth)) return wrong();
  try {
    return IndexOf(json);
  } catch (const Json::exception&) {
    return wrong();
  }
}

}  // namespace linnet
