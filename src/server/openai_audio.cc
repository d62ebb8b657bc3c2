#include "server/openai_audio.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "server/multipart.h"
#include "server/openai_writer.h"

namespace linnet {
namespace {

constexpr std::array kFormats = {"json", "text", "srt", "verbose_json", "vtt"};

struct AudioRequest {
  SpeechRequest speech;
  std::string format = "json", language;
  bool stream = false;
};

std::unexpected<Error> Wrong(std::string what, std::string hint) {
  return Fail(ErrorCode::kInvalidArgument, std::move(what), std::move(hint));
}

Result<float> TemperatureOf(std::string_view text) {
  float value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && end == text.data() + text.size() && value >= 0 && value <= 100) return value;
  return Wrong(fmt::format("temperature is '{}'", text), "give a number from 0 to 100");
}

Status TakeField(const FormPart& part, AudioRequest& request) {
  const std::string value(part.content);
  if (part.name == "response_format") {
    request.format = value;
    if (std::ranges::find(kFormats, value) != kFormats.end()) return {};
    return Wrong("response_format is '" + value + "'", "give json, text, srt, verbose_json or vtt");
  }
  if (part.name == "timestamp_granularities[]" || part.name == "timestamp_granularities") {
    if (value == "segment") return {};
    return Wrong("timestamp_granularities is '" + value + "'", "give segment: there are no times of words");
  }
  if (part.name == "temperature") {
    LINNET_ASSIGN(request.speech.options.sampling.temperature, TemperatureOf(value));
  }
  if (part.name == "stream") request.stream = value == "true" || value == "True" || value == "1";
  if (part.name == "language") request.language = value;
  if (part.name == "prompt") {
    LINNET_ASSIGN(request.speech.hint, SpeechHint(value));
  }
  return {};
}

Result<AudioRequest> ReadRequest(const HttpRequest& http) {
  LINNET_ASSIGN(const std::vector<FormPart> parts, ParseForm(http.Header("content-type"), http.body));
  AudioRequest request;
  request.speech.options.sampling.temperature = 0.0F;
  request.speech.owner = http.owner;
  bool found = false;
  for (const FormPart& part : parts) {
    if (part.name != "file") {
      LINNET_TRY(TakeField(part, request));
      continue;
    }
    found = true;
    request.speech.source = MediaSource({part.content.begin(), part.content.end()},
                                        part.file_name.empty() ? "the file" : part.file_name);
  }
  if (!found) return Wrong("there is no file in the form", "send the recording as its part 'file'");
  if (request.stream && request.format != "json" && request.format != "text") {
    return Wrong("stream is given with response_format " + request.format, "stream json");
  }
  return request;
}

// In the letters that a header may have.
std::string HeaderText(std::string text) {
  std::ranges::replace_if(text, [](char c) { return c < ' ' || c > '~'; }, '?');
  return text;
}

// What becomes of a recording, in the format that was asked for.
class AudioAnswer {
 public:
  AudioAnswer(const AudioRequest& request, bool translate)
      : format_(request.format),
        language_(translate ? "english" : request.language),
        translate_(translate),
        subtitles_(format_ == "vtt" ? TranscriptFormat::kVtt : TranscriptFormat::kSrt, false, "") {
    if (format_ == "srt" || format_ == "vtt") body_ = subtitles_.Begin();
  }

  // The piece of a stream.
  std::string Add(const Utterance& utterance) {
    body_ += format_ == "srt" || format_ == "vtt" ? subtitles_.Add(utterance) : "";
    segments_.push_back({{"id", segments_.size()},
                         {"seek", static_cast<int64_t>(utterance.begin * 100)},
                         {"start", utterance.begin},
                         {"end", utterance.end},
                         {"text", utterance.shown()},
                         {"tokens", Json::array()},
                         {"temperature", 0.0},
                         {"avg_logprob", 0.0},
                         {"compression_ratio", 0.0},
                         {"no_speech_prob", utterance.shown().empty() ? 1.0 : 0.0}});
    if (utterance.cut) segments_.back()["cut"] = true;
    cut_ += utterance.cut;
    const std::string delta = MoreOfTranscript(text_, utterance);
    if (delta.empty()) return {};
    text_ += delta;
    return ServerSentEvent({{"type", "transcript.text.delta"}, {"delta", delta}});
  }

  // What a person should know about the answer; `note`: about the recording.
  std::string Notes(const std::string& note) const { return JoinedNotes(NoteOnCut(cut_), note); }

  std::string Done(const std::string& notes, const Json& usage) const {
    Json done = {{"type", "transcript.text.done"}, {"text", text_}, {"usage", usage}};
    if (!notes.empty()) done["note"] = notes;
    return ServerSentEvent(done);
  }

  HttpAnswer Whole(double seconds, const std::string& notes, const Json& usage) {
    if (format_ != "json" && format_ != "verbose_json") return Plain(seconds, notes);
    Json json = {{"text", text_}};
    if (format_ == "verbose_json") {
      json = {{"task", translate_ ? "translate" : "transcribe"},
              {"language", language_},
              {"duration", seconds},
              {"text", text_},
              {"segments", segments_}};
    }
    if (!notes.empty()) json["note"] = notes;
    json["usage"] = usage;
    return {.body = Dump(json)};
  }

 private:
  // Texts and subtitles, where notes have no place beside the header.
  HttpAnswer Plain(double seconds, const std::string& notes) {
    HttpAnswer answer{.type = "text/plain; charset=utf-8", .body = text_ + "\n"};
    if (format_ != "text") {
      answer.type = format_ == "vtt" ? "text/vtt; charset=utf-8" : "application/x-subrip; charset=utf-8";
      answer.body = body_ + subtitles_.End(seconds);
    }
    if (!notes.empty()) answer.headers.emplace_back("Linnet-Note", HeaderText(notes));
    return answer;
  }

  std::string format_, language_;
  bool translate_;
  TranscriptWriter subtitles_;
  std::string body_, text_;
  Json segments_ = Json::array();
  int64_t cut_ = 0;
};

void Hear(const AnswerFloor& floor, const MediaLoader& loader, const ExchangePtr& exchange,
          std::pair<AudioRequest, bool> asked) {
  auto& [request, translate] = asked;
  const bool stream = request.stream;
  const auto answer = std::make_shared<AudioAnswer>(request, translate);
  if (translate) request.speech.language = "English";
  // The job is told of by its listener as long as it lives, which it ends itself.
  const auto job = std::make_shared<std::shared_ptr<SpeechJob>>();
  SpeechJob::Listener listener;
  listener.on_utterance = [exchange, answer, stream](const Utterance& utterance) {
    std::string piece = answer->Add(utterance);
    if (stream && !piece.empty()) exchange->Write(std::move(piece));
  };
  listener.on_end = [exchange, answer, stream, job](const Result<double>& seconds, const std::string& note) {
    const std::shared_ptr<SpeechJob> ended = std::exchange(*job, nullptr);
    const std::string notes = answer->Notes(note);
    if (!notes.empty()) exchange->Note("note", notes);
    if (!seconds && exchange->begun()) {
      exchange->Write(OpenAiFailure(seconds.error()));
      return exchange->End();
    }
    if (!seconds) return exchange->Answer(ErrorAnswer(exchange->request().path, seconds.error()));
    exchange->Note("seconds", fmt::format("{:.1f}", *seconds));
    if (!stream) return exchange->Answer(answer->Whole(*seconds, notes, ended->Usage()));
    exchange->Write(answer->Done(notes, ended->Usage()));
    exchange->End();
  };
  *job = std::make_shared<SpeechJob>(floor, loader, std::move(request.speech), std::move(listener));
  exchange->OnClosed([job] {
    if (*job != nullptr) (*job)->Cancel();
    *job = nullptr;
  });
  if (stream) exchange->Stream(kEventStream, [] { return std::string(": still working\n\n"); });
  (*job)->Begin();
}

}  // namespace

void HearExchange(const AnswerFloor& floor, const MediaLoader& loader, const ExchangePtr& exchange,
                  bool translate) {
  const auto read = [&model = floor.model](const HttpRequest& http) -> Result<AudioRequest> {
    LINNET_ASSIGN(AudioRequest request, ReadRequest(http));
    if (model.engine.facts().hears) return request;
    return Fail(ErrorCode::kUnsupported, "this model takes no sound", "use one with its multimodal part");
  };
  ReadBeside(floor, exchange, read, [floor, &loader, exchange, translate](AudioRequest request) {
    Hear(floor, loader, exchange, {std::move(request), translate});
  });
}

}  // namespace linnet
