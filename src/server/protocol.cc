#include "server/protocol.h"

#include <chrono>
#include <ctime>
#include <random>

namespace linnet {
namespace {

// How OpenAI and Anthropic name what a status stands for.
const char* TypeOf(int status, bool anthropic) {
  switch (status) {
    case 401:
      return "authentication_error";
    case 403:
      return "permission_error";
    case 404:
      return "not_found_error";
    case 413:
      return anthropic ? "request_too_large" : "invalid_request_error";
    case 429:
      return "rate_limit_error";
    case 503:
      return anthropic ? "overloaded_error" : "server_error";
    default:
      return status < 500 || status == 501 ? "invalid_request_error"
             : anthropic                   ? "api_error"
                                           : "server_error";
  }
}

}  // namespace

Status HoldToForm(const ServedModel& model, const AnswerForm& form, Asked& asked) {
  LINNET_ASSIGN(const std::optional<Grammar> grammar, model.grammars.Compile(form));
  if (!grammar) return {};
  for (AnswerRequest& answer : asked.answers) answer.Hold(grammar->NewMask());
  asked.notes.insert(asked.notes.end(), grammar->warnings().begin(), grammar->warnings().end());
  return {};
}

int StatusOf(const Error& error) {
  switch (error.code) {
    case ErrorCode::kNotFound:
      return 404;
    case ErrorCode::kOutOfMemory:
    case ErrorCode::kCancelled:  // not by the client, which is gone then
      return 503;
    case ErrorCode::kInternal:
      return 500;
    case ErrorCode::kUnsupported:  // 501 where another build could do it
      return !HasGrammars() && error.what.find("structured output") != std::string::npos ? 501 : 400;
    default:
      return 400;
  }
}

std::string ErrorBody(const std::string& path, int status, const std::string& message) {
  if (path.starts_with("/api/")) return Dump({{"error", message}});
  if (path.starts_with("/v1/messages")) {
    return Dump({{"type", "error"}, {"error", {{"type", TypeOf(status, true)}, {"message", message}}}});
  }
  return Dump(
      {{"error",
        {{"message", message}, {"type", TypeOf(status, false)}, {"param", nullptr}, {"code", nullptr}}}});
}

HttpAnswer ErrorAnswer(const std::string& path, int status, const std::string& message) {
  HttpAnswer answer{.status = status, .body = ErrorBody(path, status, message)};
  if (status == 429 || status == 503) answer.headers.emplace_back("Retry-After", "5");
  if (status == 401) answer.headers.emplace_back("WWW-Authenticate", "Bearer");
  return answer;
}

HttpAnswer ErrorAnswer(const std::string& path, const Error& error) {
  return ErrorAnswer(path, StatusOf(error), error.Message());
}

std::string NewId(const std::string& prefix) {
  static constexpr std::string_view kLetters = "0123456789abcdefghijklmnopqrstuvwxyz";
  static thread_local std::random_device random;
  std::uniform_int_distribution<size_t> letter(0, kLetters.size() - 1);
  std::string id = prefix;
  for (int i = 0; i < 24; ++i) id += kLetters[letter(random)];
  return id;
}

int64_t UnixTime() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

std::string TimeText(int64_t unix_time) {
  const auto time = static_cast<std::time_t>(unix_time);
  std::tm parts = {};
  gmtime_r(&time, &parts);
  char text[32];
  return {text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts)};
}

std::string Joined(std::initializer_list<std::string> pieces) {
  std::string joined;
  for (const std::string& piece : pieces) joined += piece;
  return joined;
}

std::string ServerSentEvent(const Json& json) { return "data: " + Dump(json) + "\n\n"; }

const char* OpenAiFinish(FinishReason reason) {
  switch (reason) {
    case FinishReason::kLength:
    case FinishReason::kContext:
    case FinishReason::kRepetition:
      return "length";
    case FinishReason::kToolCall:
      return "tool_calls";
    default:
      return "stop";
  }
}

}  // namespace linnet
