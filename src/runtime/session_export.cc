#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>

#include "runtime/session_file.h"
#include "runtime/session_media.h"
#include "text/tool_syntax.h"

namespace linnet {
namespace {

using Json = nlohmann::ordered_json;

// A block that nothing inside can end: its fence is longer than any run of backquotes in it.
std::string Fenced(const std::string& text, std::string_view language = "") {
  size_t longest = 2, run = 0;
  for (const char c : text) {
    run = c == '`' ? run + 1 : 0;
    longest = std::max(longest, run);
  }
  const std::string fence(longest + 1, '`');
  return fmt::format("{}{}\n{}\n{}\n\n", fence, language, text, fence);
}

std::string Quoted(const std::string& text) {
  std::string quoted = "> ";
  for (const char c : text) {
    quoted += c;
    if (c == '\n') quoted += "> ";
  }
  return quoted + "\n\n";
}

std::string MediumText(const SessionIndex::StoredMedium& medium) {
  const int64_t tokens = SoftTokensOf(medium.shape);
  return fmt::format("*[{}{}, SHA-256 {}]*\n\n", medium.shape.at("kind").get<std::string>(),
                     tokens > 0 ? fmt::format(", {} tokens", tokens) : "", medium.sha256);
}

// A message's parts in their order; each medium has the part without content that stands for it.
std::string ContentText(const SessionIndex::Message& message) {
  const Json& content = message.json.at("content");
  if (content.is_string()) return content.empty() ? "" : content.get<std::string>() + "\n\n";
  std::string text;
  size_t medium = 0;
  for (const Json& part : content) {
    if (part.value("type", "") == "text") {
      text += part.value("text", "") + "\n\n";
    } else if (medium < message.media.size()) {
      text += MediumText(message.media[medium++]);
    }
  }
  return text;
}

std::string MessageText(const SessionIndex::Message& message) {
  static const std::map<std::string, std::string> kTitles = {
      {"system", "System"}, {"user", "User"}, {"assistant", "Model"}, {"tool", "Tool result"}};
  const std::string role = message.json.at("role").get<std::string>();
  const auto title = kTitles.find(role);
  std::string text = fmt::format("## {}", title == kTitles.end() ? role : title->second);
  if (role == "tool") text += ": " + message.json.value("name", "");
  text += "\n\n";
  if (const std::string thought = message.json.value("reasoning", ""); !thought.empty())
    text += Quoted(thought);
  text += role == "tool" ? Fenced(message.json.value("content", "")) : ContentText(message);
  if (const auto calls = message.json.find("tool_calls"); calls != message.json.end()) {
    for (const Json& call : *calls) {
      const Json& function = call.at("function");
      text += fmt::format("**calls {}**\n\n", function.at("name").get<std::string>());
      text += Fenced(function.at("arguments").dump(2), "json");
    }
  }
  return text;
}

}  // namespace

std::string ExportJson(const SessionIndex& index) {
  Json messages = Json::array();
  for (const SessionIndex::Message& message : index.messages) {
    Json json = message.json;
    size_t medium = 0;
    for (Json& part : json["content"]) {
      if (!part.is_object() || part.value("type", "") == "text" || medium == message.media.size()) continue;
      const SessionIndex::StoredMedium& stored = message.media[medium++];
      part["sha256"] = stored.sha256;
      part["bytes"] = stored.extent.bytes;
      if (const int64_t tokens = SoftTokensOf(stored.shape); tokens > 0) part["soft_tokens"] = tokens;
    }
    messages.push_back(std::move(json));
  }
  Json tools = index.setup.tools.empty() ? Json::array() : Json::parse(index.setup.tools, nullptr, false);
  // Writing is recursive; no conversation can be begun with deeper ones.
  if (tools.is_discarded() || DeeperThan(tools, kMaxToolDepth + 1)) tools = Json::array();
  const Json all = {{"linnet", index.program},
                    {"model", index.model},
                    {"fingerprint", index.fingerprint.text},
                    {"thinking", index.setup.thinking},
                    {"tokens", index.held.size()},
                    {"tools", std::move(tools)},
                    {"messages", std::move(messages)}};
  return all.dump(2) + "\n";
}

std::string ExportMarkdown(const SessionIndex& index) {
  std::string text = fmt::format("# Conversation with {}\n\n", index.model.empty() ? "a model" : index.model);
  for (const SessionIndex::Message& message : index.messages) text += MessageText(message);
  while (text.ends_with("\n\n")) text.pop_back();
  return text;
}

}  // namespace linnet
