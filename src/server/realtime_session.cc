#include "server/realtime_session.h"

#include <fmt/format.h>

#include <utility>

#include "linnet/media.h"
#include "server/protocol.h"
#include "server/request_media.h"
#include "server/speech_job.h"

namespace linnet {
namespace {

constexpr int64_t kMostSeconds = 600;  // of sound that is not written down yet
constexpr size_t kMostBytes = static_cast<size_t>(kMostSeconds) * 1000 * kRealtimeBytesOfMs;
constexpr size_t kLeastMs = 100;  // to be committed

std::unexpected<Error> NotTaken(std::string what, std::string hint) {
  return Fail(ErrorCode::kInvalidArgument, std::move(what), std::move(hint));
}

// audio/pcm of 24 kHz, or pcm16 in the older words.
Status CheckFormat(const Fields& input, bool old) {
  if (old) {
    LINNET_ASSIGN(const auto name, input.Text("input_audio_format"));
    if (name.value_or("pcm16") == "pcm16") return {};
    return input.Wrong("input_audio_format", "is '" + *name + "'", "send pcm16: 24000 samples a second");
  }
  LINNET_ASSIGN(const Json* format, input.Object("format"));
  const Fields fields(*format, input.PathOf("format"));
  LINNET_ASSIGN(const auto type, fields.Text("type"));
  if (type.value_or("audio/pcm") != "audio/pcm") {
    return fields.Wrong("type", "is '" + *type + "'", "send audio/pcm with a rate of 24000");
  }
  LINNET_ASSIGN(const auto rate, fields.Integer("rate", {1, 1e9}));
  if (rate.value_or(kRealtimeRate) == kRealtimeRate) return {};
  return fields.Wrong("rate", fmt::format("is {}", *rate), "send 24000 samples a second");
}

Result<std::optional<SpeechDetection>> ReadDetection(const Fields& input) {
  LINNET_ASSIGN(const Json* detection, input.Object("turn_detection"));
  if (detection->is_null()) return std::nullopt;
  const Fields fields(*detection, input.PathOf("turn_detection"));
  LINNET_ASSIGN(const auto type, fields.Text("type"));
  if (type.value_or("server_vad") != "server_vad") {
    return fields.Wrong("type", "is '" + *type + "'", "give server_vad, or null as turn_detection");
  }
  SpeechDetection read;
  LINNET_ASSIGN(const auto threshold, fields.Number("threshold", {0, 1}));
  LINNET_ASSIGN(const auto prefix, fields.Integer("prefix_padding_ms", {0, 5000}));
  LINNET_ASSIGN(const auto silence, fields.Integer("silence_duration_ms", {20, 5000}));
  read.threshold = threshold.value_or(read.threshold);
  read.prefix_ms = prefix.value_or(read.prefix_ms);
  read.silence_ms = silence.value_or(read.silence_ms);
  return read;
}

}  // namespace

Json RealtimeEvent(const std::string& type, const Json& members) {
  Json event = {{"type", type}, {"event_id", NewId("event_")}};
  event.update(members);
  return event;
}

Json RealtimeError(const Error& error, const std::string& code, const std::string& about) {
  const bool ours = StatusOf(error) >= 500;
  return RealtimeEvent("error", {{"error",
                                  {{"type", ours ? "server_error" : "invalid_request_error"},
                                   {"code", code.empty() ? Json() : Json(code)},
                                   {"message", error.Message()},
                                   {"param", nullptr},
                                   {"event_id", about.empty() ? Json() : Json(about)}}}});
}

RealtimeSession::RealtimeSession(std::string model, bool old)
    : model_(std::move(model)), id_(NewId("sess_")), old_(old) {
  (void)sound_.Detect(settings_.detection);  // a known one
}

Json RealtimeSession::Created() const {
  return RealtimeEvent(old_ ? "transcription_session.created" : "session.created", {{"session", Shown()}});
}

Json RealtimeSession::Shown() const {
  Json detection;
  if (const auto& d = settings_.detection) {
    detection = {{"type", "server_vad"},
                 {"threshold", d->threshold},
                 {"prefix_padding_ms", d->prefix_ms},
                 {"silence_duration_ms", d->silence_ms}};
  }
  Json transcription = {{"model", model_}, {"prompt", settings_.prompt}};
  transcription["language"] = settings_.language.empty() ? Json() : Json(settings_.language);
  if (old_) {
    return {{"id", id_},
            {"object", "realtime.transcription_session"},
            {"input_audio_format", "pcm16"},
            {"input_audio_transcription", std::move(transcription)},
            {"input_audio_noise_reduction", nullptr},
            {"turn_detection", std::move(detection)}};
  }
  return {{"type", "transcription"},
          {"id", id_},
          {"object", "realtime.transcription_session"},
          {"include", nullptr},
          {"audio",
           {{"input",
             {{"format", {{"type", "audio/pcm"}, {"rate", kRealtimeRate}}},
              {"transcription", std::move(transcription)},
              {"noise_reduction", nullptr},
              {"turn_detection", std::move(detection)}}}}}};
}

RealtimeTold RealtimeSession::Take(std::string_view message, size_t waiting) {
  told_ = {};
  code_.clear();
  std::string about;
  Status done;
  if (const Result<Json> json = ParseObject(message); !json) {
    done = std::unexpected(json.error());
  } else {
    if (json->contains("event_id") && json->at("event_id").is_string()) about = json->at("event_id");
    done = Dispatch(*json, waiting);
  }
  if (!done) told_.events.push_back(RealtimeError(done.error(), code_, about));
  told_.held = sound_.held();
  return std::move(told_);
}

Status RealtimeSession::Dispatch(const Json& message, size_t waiting) {
  LINNET_ASSIGN(const auto type, Fields(message).Text("type"));
  if (type == "input_audio_buffer.append") return Append(message, waiting);
  if (type == "input_audio_buffer.commit") return Commit();
  if (type == "session.update") return Update(message, false);
  if (type == "transcription_session.update") return Update(message, true);
  if (type == "input_audio_buffer.clear") {
    sound_.Clear();
    begun_id_.clear();
    Tell("input_audio_buffer.cleared", Json::object());
    return {};
  }
  return NotTaken(
      type ? "type is '" + *type + "', which a transcription session does not take" : "the event has no type",
      "send session.update, or append, commit or clear of input_audio_buffer");
}

Result<RealtimeSession::Settings> RealtimeSession::Changed(const Settings& before, const Fields& session,
                                                           bool old) {
  Settings after = before;
  LINNET_ASSIGN(const Json* audio, session.Object("audio"));
  const Fields audio_fields(*audio, session.PathOf("audio"));
  LINNET_ASSIGN(const Json* inner, audio_fields.Object("input"));
  const Fields input = old ? session : Fields(*inner, audio_fields.PathOf("input"));
  const char* const transcription = old ? "input_audio_transcription" : "transcription";
  LINNET_TRY(CheckFormat(input, old));
  for (const char* name : {"noise_reduction", "input_audio_noise_reduction"}) {
    if (input.has(name)) return input.Wrong(name, "is not supported", "give null");
  }
  LINNET_ASSIGN(const Json* words, input.Object(transcription));
  const Fields said(*words, input.PathOf(transcription));
  LINNET_ASSIGN(const auto language, said.Text("language"));
  LINNET_ASSIGN(const auto prompt, said.Text("prompt"));
  after.language = language.value_or(after.language);
  after.prompt = prompt.value_or(after.prompt);
  LINNET_ASSIGN(after.hint, SpeechHint(after.prompt));
  if (input.contains("turn_detection")) {
    LINNET_ASSIGN(after.detection, ReadDetection(input));
  }
  return after;
}

Status RealtimeSession::Update(const Json& message, bool old) {
  const Fields fields(message);
  LINNET_ASSIGN(const Json* session, fields.Object("session"));
  const Fields inside(*session, "session");
  LINNET_ASSIGN(const auto type, inside.Text("type"));
  if (type.value_or("transcription") != "transcription") {
    return inside.Wrong("type", "is '" + *type + "'", "give transcription: nothing is spoken here");
  }
  LINNET_ASSIGN(const std::vector<std::string> more, inside.Texts("include"));
  if (!more.empty()) return inside.Wrong("include", "has '" + more.front() + "'", "leave it out");
  LINNET_ASSIGN(Settings after, Changed(settings_, inside, old));
  if (after.detection != settings_.detection) LINNET_TRY(sound_.Detect(after.detection));
  settings_ = std::move(after);
  old_ = old;
  Tell(old ? "transcription_session.updated" : "session.updated", {{"session", Shown()}});
  return {};
}

Status RealtimeSession::Append(const Json& message, size_t waiting) {
  const Fields fields(message);
  LINNET_ASSIGN(const auto audio, fields.Text("audio"));
  if (!audio) return fields.Wrong("audio", "is missing", "give samples of 16 bits in base64");
  if (audio->empty()) return {};
  const Result<MediaSource> sound = SourceOfBase64(*audio, "audio/pcm");
  if (!sound) return fields.Wrong("audio", "is no base64", "give samples of 16 bits in base64");
  const std::vector<uint8_t>& pcm = sound->bytes;
  if (pcm.size() % 2 != 0) {
    return fields.Wrong("audio", fmt::format("has {} bytes", pcm.size()), "give whole samples of 16 bits");
  }
  if (sound_.held() + waiting + pcm.size() > kMostBytes) {
    code_ = "input_audio_buffer_full";
    return NotTaken(fmt::format("{} s of sound wait already, and more than {} s are not kept",
                                (sound_.held() + waiting) / 1000 / kRealtimeBytesOfMs, kMostSeconds),
                    "commit it, or wait for what was committed; this sound was not taken");
  }
  LINNET_TRY(sound_.Append({reinterpret_cast<const char*>(pcm.data()), pcm.size()}));
  Listen();
  return {};
}

// What can be told of speech since it was looked for last.
void RealtimeSession::Listen() {
  const auto begin = [this](int64_t ms) {
    if (begun_id_.empty()) {
      Tell("input_audio_buffer.speech_started", {{"audio_start_ms", ms}, {"item_id", ItemId()}});
    }
  };
  while (std::optional<RealtimeSound::Speech> speech = sound_.Next()) {
    begin(speech->begin_ms);
    Tell("input_audio_buffer.speech_stopped", {{"audio_end_ms", speech->end_ms}, {"item_id", ItemId()}});
    AddItem(std::move(speech->pcm));
  }
  if (const auto ms = sound_.BegunMs()) begin(*ms);
}

Status RealtimeSession::Commit() {
  if (const size_t ms = sound_.held() / kRealtimeBytesOfMs; ms < kLeastMs) {
    code_ = "input_audio_buffer_commit_empty";
    return NotTaken(fmt::format("the buffer has {} ms of sound", ms),
                    fmt::format("append at least {} ms before it is committed", kLeastMs));
  }
  AddItem(sound_.Commit());
  return {};
}

std::string RealtimeSession::ItemId() {
  if (begun_id_.empty()) begun_id_ = NewId("item_");
  return begun_id_;
}

void RealtimeSession::AddItem(std::string pcm) {
  const std::string id = ItemId();
  begun_id_.clear();
  const Json before = last_id_.empty() ? Json() : Json(last_id_);
  last_id_ = id;
  Tell("input_audio_buffer.committed", {{"previous_item_id", before}, {"item_id", id}});
  const Json item = {
      {"id", id},          {"object", "realtime.item"},
      {"type", "message"}, {"status", "completed"},
      {"role", "user"},    {"content", Json::array({{{"type", "input_audio"}, {"transcript", nullptr}}})}};
  const Json members = {{"previous_item_id", before}, {"item", item}};
  if (old_) {
    Tell("conversation.item.created", members);
  } else {
    Tell("conversation.item.added", members);
    Tell("conversation.item.done", members);
  }
  told_.items.push_back({.id = id, .pcm = std::move(pcm), .hint = settings_.hint});
}

}  // namespace linnet
