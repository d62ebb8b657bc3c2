#include "assist/transcriber.h"

#include <algorithm>
#include <utility>

#include "model/config.h"

namespace linnet {
namespace {

constexpr size_t kRead = 1 << 12;  // a quarter of a second: what is live shall not wait longer
// Fast speech is about five words a second; a model that writes more than this has begun to repeat itself.
constexpr double kTokensPerSecond = 12;
constexpr int64_t kSpareTokens = 48;

std::string Trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos) return {};
  return std::string(text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1));
}

bool WasCut(const Generation& answer) {
  return answer.finish == FinishReason::kLength || answer.finish == FinishReason::kContext;
}

}  // namespace

void SplitTranslation(const std::string& answer, const std::string& language, Utterance& utterance) {
  const std::string mark = language + ":";
  size_t at = answer.rfind("\n" + mark);
  at = at != std::string::npos ? at + 1 : answer.starts_with(mark) ? 0 : at;
  if (at == std::string::npos) {
    // Without the mark the last line is the translation, if there is more than one.
    const std::string whole = Trimmed(answer);
    const size_t line = whole.rfind('\n');
    utterance.text = Trimmed(whole.substr(0, line));
    utterance.translation = line == std::string::npos ? utterance.text : Trimmed(whole.substr(line));
    return;
  }
  utterance.text = Trimmed(answer.substr(0, at));
  utterance.translation = Trimmed(answer.substr(at + mark.size()));
}

Result<Transcriber> Transcriber::Create(Engine& engine, const SessionOptions& session,
                                        const TranscribeOptions& options) {
  if (!engine.config().audio.present) {
    return Fail(ErrorCode::kUnsupported, "this model takes no sound",
                "use a model with its multimodal part ('linnet info MODEL' lists the parts)");
  }
  LINNET_TRY(VoiceSplitter::Create(options.split));
  LINNET_ASSIGN(SpeechPrompts prompts, ReadPrompts(engine.prompts_json()));
  LINNET_ASSIGN(Conversation conversation, Conversation::Create(engine, session, {}));
  return Transcriber(std::move(conversation), std::move(prompts), options);
}

Result<Generation> Transcriber::Ask(UserMessage message, int64_t max_tokens,
                                    const std::atomic<bool>* cancel) {
  GenerateOptions generate;
  generate.sampling.temperature = 0.0f;
  generate.max_tokens = max_tokens;
  GenerateHooks hooks;
  hooks.cancel = cancel;
  conversation_.Reset();
  conversation_.AddUser(std::move(message));
  auto answer = conversation_.Answer(generate, hooks);
  if (!answer) {
    conversation_.Reset();
    return std::unexpected(answer.error());
  }
  if (answer->finish == FinishReason::kCancelled) return Fail(ErrorCode::kCancelled, "stopped");
  return std::move(*answer);
}

Result<Utterance> Transcriber::Hear(VoicePiece piece, const std::atomic<bool>* cancel) {
  Utterance utterance{piece.begin_seconds(), piece.end_seconds(), {}, {}, false};
  const bool together = !options_.language.empty() && !prompts_.translate_speech.empty();
  const double share = together ? 2 : 1;
  const auto most =
      static_cast<int64_t>(share * kTokensPerSecond * (utterance.end - utterance.begin)) + kSpareTokens;
  UserMessage message;
  message.text =
      together ? FillPrompt(prompts_.translate_speech, options_.language, "") : prompts_.transcribe;
  message.sounds.push_back(AudioInput{std::move(piece.samples)});
  LINNET_ASSIGN(const Generation answer, Ask(std::move(message), most, cancel));
  utterance.cut = WasCut(answer);
  if (together) {
    SplitTranslation(answer.text, options_.language, utterance);
    return utterance;
  }
  utterance.text = Trimmed(answer.text);
  if (!options_.language.empty() && !utterance.text.empty()) {
    LINNET_ASSIGN(utterance.translation, TranslateText(utterance.text, utterance.cut, cancel));
  }
  return utterance;
}

Result<std::string> Transcriber::TranslateText(const std::string& text, bool& cut,
                                               const std::atomic<bool>* cancel) {
  UserMessage message;
  message.text = FillPrompt(prompts_.translate_text, options_.language, text);
  // A translation may be longer than its text, in tokens of a script the vocabulary knows less well.
  const auto most = static_cast<int64_t>(text.size()) * 2 + kSpareTokens;
  LINNET_ASSIGN(const Generation answer, Ask(std::move(message), most, cancel));
  cut = cut || WasCut(answer);
  return Trimmed(answer.text);
}

Result<Heard> Transcriber::Run(AudioReader& reader, double from_seconds, const UtteranceSink& sink,
                               const PositionSink& position, const std::atomic<bool>* cancel) {
  LINNET_ASSIGN(VoiceSplitter splitter, VoiceSplitter::Create(options_.split));
  std::vector<float> samples(kRead);
  Heard heard;
  bool more = true;
  while (more) {
    const auto count = reader.Read(samples);
    if (!count) heard.broken = count.error();
    splitter.Push(std::span(samples).first(count.value_or(0)));
    more = count && *count == samples.size();
    if (!more) splitter.Finish();
    while (auto piece = splitter.Next()) {
      if (cancel != nullptr && cancel->load()) return Fail(ErrorCode::kCancelled, "stopped");
      if (piece->begin_seconds() < from_seconds) continue;
      LINNET_ASSIGN(const Utterance utterance, Hear(std::move(*piece), cancel));
      LINNET_TRY(sink(utterance));
      if (position) position(utterance.end);
    }
    if (cancel != nullptr && cancel->load()) return Fail(ErrorCode::kCancelled, "stopped");
  }
  heard.seconds = static_cast<double>(splitter.samples()) / static_cast<double>(kSampleRate);
  return heard;
}

}  // namespace linnet
