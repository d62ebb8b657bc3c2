#include "quant/calibrate.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/mapped_file.h"
#include "base/memory_limits.h"
#include "base/plain_text.h"
#include "io/json.h"
#include "linnet/engine.h"
#include "linnet/session.h"
#include "quant/calibration_media.h"
#include "quant/calibration_texts.h"
#include "runtime/engine_impl.h"
#include "text/chat_format.h"

namespace linnet {
namespace {

using Ids = std::vector<int32_t>;
using Json = nlohmann::ordered_json;

struct Chat {
  Json messages, tools;
};

Result<std::string> ReadText(const std::string& path) {
  LINNET_ASSIGN(const MappedFile file, MappedFile::Open(path));
  return PlainText({file.bytes().begin(), file.bytes().end()}, path);
}

bool IsChats(const std::string& path) { return path.ends_with(".jsonl"); }

// Without a bos, which every window gets.
Ids WithoutBos(Ids ids, int32_t bos) {
  if (!ids.empty() && ids.front() == bos) ids.erase(ids.begin());
  return ids;
}

// A chat in the model's format. Errors name the place.
Result<Ids> TokensOfChat(const Engine& engine, const Chat& chat, const std::string& place) {
  const Engine::Impl& impl = engine.impl();
  ChatOptions options;
  if (impl.config.model_type.starts_with("gemma3")) options.style = ChatStyle::kGemma3;
  Result<RenderedChat> rendered = RenderChat(chat.messages, chat.tools, options);
  if (!rendered) return Prefixed(place, std::move(rendered.error()));
  Result<Prompt> prompt = BuildPrompt(*impl.tokenizer, impl.config, rendered->text, {});
  if (!prompt) return Prefixed(place, std::move(prompt.error()));
  return WithoutBos(std::move(prompt->ids), impl.config.tokens.bos);
}

// The tokens of one line: a chat in the model's format, or a text.
Result<Ids> TokensOfLine(const Engine& engine, std::string_view line, const std::string& place) {
  LINNET_ASSIGN(const nlohmann::json json, ParseJson(line, place));
  if (json.is_object() && json.contains("text") && json["text"].is_string()) {
    return engine.Tokenise(json["text"].get<std::string>());
  }
  const nlohmann::json& messages = json.is_object() ? JsonMember(json, "messages") : json;
  if (!messages.is_array() || messages.empty()) {
    return Fail(
        ErrorCode::kBadFile, place + ": neither `messages` nor `text`",
        "give a chat as {\"messages\": [{\"role\": …, \"content\": …}, …]} or {\"text\": …} on each line");
  }
  const Json tools = json.is_object() && json.contains("tools") ? Json::parse(json["tools"].dump()) : Json();
  return TokensOfChat(engine, {Json::parse(messages.dump()), tools}, place);
}

Result<std::vector<Ids>> TokensOfBuiltIn(const Engine& engine) {
  std::vector<Ids> documents;
  for (const CalibrationText& text : CalibrationTexts()) {
    if (text.question.empty()) {
      documents.push_back(engine.Tokenise(text.answer));
      continue;
    }
    const Json messages = {{{"role", "user"}, {"content", text.question}},
                           {{"role", "assistant"}, {"content", text.answer}}};
    LINNET_ASSIGN(documents.emplace_back(), TokensOfChat(engine, {messages, Json()}, kBuiltInTexts));
  }
  return documents;
}

// What is read as one: a whole text, or each chat of a file.
Result<std::vector<Ids>> TokensOf(const Engine& engine, const std::string& path) {
  if (path == kBuiltInTexts) return TokensOfBuiltIn(engine);
  LINNET_ASSIGN(const std::string text, ReadText(path));
  std::vector<Ids> documents;
  if (!IsChats(path)) {
    documents.push_back(engine.Tokenise(text));
    return documents;
  }
  std::string_view rest = text;
  for (int64_t number = 1; !rest.empty(); ++number) {
    const TextLine line = FirstLine(rest);
    rest.remove_prefix(line.text.size() + line.ending.size());
    if (line.text.find_first_not_of(" \t") == std::string_view::npos) continue;
    LINNET_ASSIGN(documents.emplace_back(),
                  TokensOfLine(engine, line.text, fmt::format("{}, line {}", path, number)));
  }
  return documents;
}

// Short documents share a window, as they do where models are trained.
std::vector<Prompt> WindowsOf(const std::vector<Ids>& documents, int32_t bos) {
  std::vector<Prompt> windows;
  const size_t room = static_cast<size_t>(kCalibrationWindow);
  for (const Ids& ids : documents) {
    for (size_t first = 0; first < ids.size();) {
      if (windows.empty() || windows.back().ids.size() == room) {
        windows.emplace_back();
        if (bos >= 0) windows.back().ids.push_back(bos);
      }
      Prompt& window = windows.back();
      const size_t count = std::min(room - window.ids.size(), ids.size() - first);
      window.ids.insert(window.ids.end(), ids.begin() + static_cast<ptrdiff_t>(first),
                        ids.begin() + static_cast<ptrdiff_t>(first + count));
      window.types.assign(window.ids.size(), TokenType::kText);
      first += count;
    }
  }
  return windows;
}

// The files that are to be read.
struct Material {
  std::vector<std::string> texts, media;

  int64_t window() const { return media.empty() ? kCalibrationWindow : kMediaWindow; }
};

Result<Material> SortFiles(const std::vector<std::string>& paths) {
  Material material;
  for (const std::string& path : paths) {
    bool medium = false;
    if (path != kBuiltInTexts) {
      LINNET_ASSIGN(medium, IsMedium(path));
    }
    (medium ? material.media : material.texts).push_back(path);
  }
  return material;
}

Result<std::unique_ptr<Engine>> LoadReader(const CalibrateOptions& options, const Material& material,
                                           const Progress& progress) {
  LoadOptions load;
  load.model = options.model;
  load.use_drafter = false;
  load.threads = options.threads;
  load.dequantise = options.dequantise;
  load.cache_ram = 0;
  MemoryUse use;
  use.session = {.context = material.window(), .rows_per_call = kCalibrationWindow, .kv = KvType::kF32};
  if (material.media.empty()) use.image_tokens = use.sound_seconds = 0;
  use.knobs = {.context = "", .kv = "", .drafter = "", .over_plan = ""};
  load.use = use;
  return LoadEngine(load, true, progress);
}

// All that is read, in windows.
Result<std::vector<Prompt>> PromptsOf(const Engine& engine, const Material& material,
                                      std::vector<std::string>& notes) {
  std::vector<Ids> documents;
  for (const std::string& path : material.texts) {
    LINNET_ASSIGN(std::vector<Ids> more, TokensOf(engine, path));
    documents.insert(documents.end(), std::make_move_iterator(more.begin()),
                     std::make_move_iterator(more.end()));
  }
  std::vector<Prompt> prompts = WindowsOf(documents, engine.impl().config.tokens.bos);
  if (material.media.empty()) return prompts;
  const MediaLoader loader;
  for (const std::string& path : material.media) {
    LINNET_ASSIGN(prompts.emplace_back(), PromptWithMedium(engine, loader, path, notes));
  }
  return prompts;
}

// The widest blocks of columns that take half of what memory is left at most.
int64_t ColumnsThatFit(const ModelConfig& config, CalibrationRules rules) {
  uint64_t room = UINT64_MAX;
  for (const MemoryLimit& limit : MemoryLimits()) room = std::min(room, limit.available / 2);
  for (const int64_t columns : {int64_t{0}, int64_t{2048}, int64_t{1024}, int64_t{512}, int64_t{256}}) {
    rules.columns = columns;
    if (Calibration::PlannedBytes(config, rules) <= room) return columns;
  }
  return 128;
}

}  // namespace

Result<CalibrationRun> Calibrate(const CalibrateOptions& options, const Progress& progress) {
  LINNET_ASSIGN(const Material material, SortFiles(options.texts));
  LINNET_ASSIGN(const std::unique_ptr<Engine> engine, LoadReader(options, material, progress));
  Engine::Impl& impl = engine->impl();
  CalibrationRun run;
  run.media = static_cast<int64_t>(material.media.size());
  LINNET_ASSIGN(const std::vector<Prompt> prompts, PromptsOf(*engine, material, run.notes));
  if (prompts.empty()) {
    return Fail(ErrorCode::kInvalidArgument, "the texts to calibrate with hold nothing",
                "give texts of some length");
  }
  CalibrationRules rules = options.rules;
  if (rules.products && options.fit_columns) rules.columns = ColumnsThatFit(impl.config, rules);
  run.columns = rules.columns;
  run.calibration =
      std::make_unique<Calibration>(impl.config, rules, impl.shared_pool, impl.context.kernels());
  LINNET_ASSIGN(const std::unique_ptr<Session> session,
                engine->NewSession(
                    {.context = material.window(), .rows_per_call = kCalibrationWindow, .kv = KvType::kF32}));
  session->impl().probe = run.calibration.get();
  for (const Prompt& prompt : prompts) {
    LINNET_TRY(session->Truncate(0));
    run.calibration->BeginText();
    LINNET_TRY(session->impl().Feed(prompt));
    run.tokens += static_cast<int64_t>(prompt.ids.size());
    ++run.windows;
    if (progress) {
      progress(static_cast<double>(run.windows) / static_cast<double>(prompts.size()),
               "reading the calibration texts");
    }
  }
  return run;
}

}  // namespace linnet
