#include "cli/answer.h"

#include <fmt/core.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/process.h"
#include "cli/context_table.h"
#include "cli/report.h"

namespace linnet {
namespace {

using Json = nlohmann::ordered_json;

Json ArgumentsOf(const ToolCall& call) {
  Json arguments = Json::parse(call.arguments, nullptr, false);
  return arguments.is_object() ? arguments : Json::object();
}

std::string Dump(const Json& value) { return value.dump(-1, ' ', false, Json::error_handler_t::replace); }

// A model may write anything; on a terminal control characters would move the cursor or worse.
std::string Shown(std::string_view text, Stream stream) {
  std::string out(text);
  if (!IsTerminal(stream)) return out;
  for (char& c : out) {
    const bool control = static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
    if (control && c != '\n' && c != '\t') c = '?';
  }
  return out;
}

// ", 2.1 tokens a pass (drafts 1: 80 %, 2: 65 % accepted), 1.6 times plain"; empty where nothing was drafted.
std::string DraftText(const DraftStats& stats) {
  if (stats.drafts() == 0) return {};
  std::string text = fmt::format(", {:.2f} tokens a pass (drafts", stats.TokensPerPass());
  for (size_t i = 0; i < stats.drafted.size() && stats.drafted[i] > 0; ++i) {
    text +=
        fmt::format("{} {}: {:.0f} %", i == 0 ? "" : ",", i + 1,
                    100.0 * static_cast<double>(stats.accepted[i]) / static_cast<double>(stats.drafted[i]));
  }
  text += " accepted)";
  if (stats.Gain() > 0) text += fmt::format(", {:.2f} times plain", stats.Gain());
  return text;
}

Json DraftsJson(const DraftStats& stats) {
  Json positions = Json::array();
  for (size_t i = 0; i < stats.drafted.size() && stats.drafted[i] > 0; ++i) {
    positions.push_back({{"drafted", stats.drafted[i]}, {"accepted", stats.accepted[i]}});
  }
  const auto by = [&](std::initializer_list<DraftSource> sources) {
    int64_t drafted = 0, accepted = 0;
    for (const DraftSource source : sources) {
      drafted += stats.drafted_by[static_cast<size_t>(source)];
      accepted += stats.accepted_by[static_cast<size_t>(source)];
    }
    return Json{{"drafted", drafted}, {"accepted", accepted}};
  };
  Json json = {{"passes", stats.passes},
               {"tokens_per_pass", stats.TokensPerPass()},
               {"positions", positions},
               {"drafter", by({DraftSource::kDrafter})},
               {"prompt_lookup", by({DraftSource::kShortMatch, DraftSource::kLongMatch})},
               {"draft_seconds", stats.draft_seconds},
               {"verify_seconds", stats.verify_seconds}};
  json["gain"] = stats.Gain() > 0 ? Json(stats.Gain()) : Json();
  return json;
}

// What a person should know about how the answer ended; empty when it ended by itself.
std::string CutNote(FinishReason reason) {
  switch (reason) {
    case FinishReason::kLength:
      return "the answer was cut at --max-tokens";
    case FinishReason::kContext:
      return "the context is full, so the answer is cut; give more with --context";
    case FinishReason::kCancelled:
      return "stopped";
    case FinishReason::kRepetition:
      return "the answer repeated itself without end, and what it must follow gave it no way out; it is cut";
    case FinishReason::kStop:
    case FinishReason::kToolCall:
      break;
  }
  return {};
}

}  // namespace

GenerateHooks AnswerPrinter::Hooks() {
  GenerateHooks hooks;
  hooks.on_text = [this](std::string_view text) { Text(text); };
  hooks.on_thought = [this](std::string_view text) { Thought(text); };
  hooks.on_tool_call = [this](const ToolCall& call) { Call(call); };
  hooks.on_shift = [](const ContextShift& shift) { SayText("linnet: " + ShiftText(shift)); };
  return hooks;
}

void AnswerPrinter::Text(std::string_view text) {
  EndThought();
  Write(Shown(text, Stream::kOutput));
  in_line_ = !text.ends_with('\n');
}

void AnswerPrinter::Thought(std::string_view text) {
  if (!in_thought_) SayText(IsTerminal(Stream::kError) ? "\033[2m" : "thought: ");
  in_thought_ = true;
  SayText(Shown(text, Stream::kError));
}

void AnswerPrinter::EndThought() {
  if (!in_thought_) return;
  SayText(IsTerminal(Stream::kError) ? "\033[0m\n" : "\n");
  in_thought_ = false;
}

void AnswerPrinter::Call(const ToolCall& call) {
  EndThought();
  Write(fmt::format("{}{}\n", in_line_ ? "\n" : "", Shown(ReadableCall(call), Stream::kOutput)));
  in_line_ = false;
}

void AnswerPrinter::Finish(const Generation& answer) {
  EndThought();
  if (in_line_) Write("\n");
  in_line_ = false;
  if (const std::string note = CutNote(answer.finish); !note.empty()) Say("linnet: {}\n", note);
}

std::string ReadableCall(const ToolCall& call) {
  std::string text = fmt::format("call {}(", call.name);
  const char* separator = "";
  const Json arguments = ArgumentsOf(call);
  for (const auto& [name, value] : arguments.items()) {
    text += separator + name + ": " + Dump(value);
    separator = ", ";
  }
  return text + (call.complete ? ")" : ") [incomplete]");
}

std::string StatsLine(const GenerateStats& stats) {
  std::string line = fmt::format("prompt {} tokens", stats.prompt_tokens);
  if (stats.reused_tokens > 0) line += fmt::format(", {} reused", stats.reused_tokens);
  if (stats.dropped_tokens > 0) {
    line += fmt::format(", {} read again that --cache-ram had no room for", stats.dropped_tokens);
  }
  line += fmt::format(", {:.1f} tokens/s; answer {} tokens", stats.PromptSpeed(), stats.generated_tokens);
  if (stats.decode_steps > 0) line += fmt::format(", {:.1f} tokens/s", stats.DecodeSpeed());
  line += DraftText(stats.draft);
  return line + fmt::format("; first token after {:.2f} s; peak memory {}", stats.first_token_seconds,
                            HumanBytes(stats.peak_memory));
}

std::string AnswerJson(const Generation& answer, const Engine& engine, const std::vector<MediaUse>& media) {
  const GenerateStats& stats = answer.stats;
  Json calls = Json::array();
  for (const ToolCall& call : answer.tool_calls) {
    calls.push_back({{"name", call.name}, {"arguments", ArgumentsOf(call)}, {"complete", call.complete}});
  }
  Json files = Json::array();
  for (const MediaUse& use : media) {
    files.push_back({{"file", use.file}, {"kind", use.kind}, {"soft_tokens", use.soft_tokens}});
    if (!use.unprotected.empty()) files.back()["unprotected"] = use.unprotected;
  }
  Json json = {
      {"text", answer.text},
      {"thought", answer.thought},
      {"tool_calls", calls},
      {"raw", engine.Text(answer.ids)},
      {"finish", FinishReasonName(answer.finish)},
      {"model", engine.facts().name},
      {"media", files},
      {"usage",
       {{"prompt_tokens", stats.prompt_tokens},
        {"reused_tokens", stats.reused_tokens},
        {"dropped_tokens", stats.dropped_tokens},
        {"generated_tokens", stats.generated_tokens}}},
      {"timing",
       {{"prompt_seconds", stats.prompt_seconds},
        {"prompt_tokens_per_second", stats.PromptSpeed()},
        {"first_token_seconds", stats.first_token_seconds},
        {"decode_seconds", stats.decode_seconds},
        {"decode_tokens_per_second", stats.DecodeSpeed()}}},
      {"drafts", DraftsJson(stats.draft)},
      {"peak_memory_bytes", stats.peak_memory},
  };
  if (answer.shift) {
    json["shift"] = {
        {"turns", answer.shift->turns}, {"tokens", answer.shift->tokens}, {"summary", answer.shift->summary}};
  }
  return Dump(json);
}

}  // namespace linnet
