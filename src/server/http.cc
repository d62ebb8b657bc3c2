#include "server/http.h"

#include <algorithm>
#include <cctype>

namespace linnet {

std::string LowerCase(std::string_view text) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return lower;
}

bool BeginsWithWord(std::string_view text, std::string_view word) {
  return LowerCase(text.substr(0, word.size())) == LowerCase(word);
}

std::string_view HttpRequest::Header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (key == name) return value;
  }
  return {};
}

void HttpExchange::Answer(HttpAnswer answer) {
  if (closed_ || ended_) return;
  output_.answer = std::move(answer);
  begun_ = ended_ = true;
  Wake();
}

void HttpExchange::Stream(std::string type, std::function<std::string()> sign_of_life) {
  if (closed_ || ended_) return;
  output_.stream_type = std::move(type);
  output_.sign_of_life = std::move(sign_of_life);
  Wake();
}

void HttpExchange::Write(std::string piece) {
  if (closed_ || ended_) return;
  begun_ = true;
  output_.pieces += piece;
  Wake();
}

void HttpExchange::End() {
  if (closed_ || ended_) return;
  begun_ = ended_ = true;
  Wake();
}

void HttpExchange::Converse(std::shared_ptr<WebSocketTalk> talk, std::string protocol) {
  if (closed_ || ended_) return;
  output_.talk = std::move(talk);
  output_.protocol = std::move(protocol);
  begun_ = ended_ = true;
  Wake();
}

void HttpExchange::Close() {
  if (closed_) return;
  closed_ = true;
  wake_ = nullptr;
  output_.sign_of_life = nullptr;
  if (auto told = std::exchange(on_closed_, nullptr)) told();
}

}  // namespace linnet
