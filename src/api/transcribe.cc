#include "api/handles.h"
#include "linnet/speech.h"

namespace linnet::api {
namespace {

Status Transcribe(Model& model, const char* path, const linnet_transcribe_options& options) {
  TranscribeOptions transcribe;
  if (options.language != nullptr) {
    transcribe.language = LanguageName(options.language);
    if (transcribe.language.empty()) {
      return Wrong("no language is called " + std::string(options.language), "give \"fr\" or \"French\"");
    }
  }
  LINNET_ASSIGN(Transcriber transcriber, Transcriber::Create(*model.engine, {}, transcribe));
  LINNET_ASSIGN(AudioReader reader, model.Loader().OpenAudio(MediaSource(std::filesystem::path(path))));
  LINNET_ASSIGN(const Heard heard, transcriber.Run(reader, 0, [&](const Utterance& heard_now) -> Status {
    const linnet_utterance utterance = {heard_now.begin, heard_now.end, heard_now.text.c_str(),
                                        heard_now.translation.c_str()};
    if (options.on_utterance == nullptr || options.on_utterance(&utterance, options.user) == 0) return {};
    return Fail(ErrorCode::kCancelled, "stopped");
  }));
  Log(reader.note());
  if (heard.broken) return std::unexpected(*heard.broken);
  return {};
}

}  // namespace
}  // namespace linnet::api

linnet_status linnet_transcribe(linnet_engine* engine, const char* path,
                                const linnet_transcribe_options* options, linnet_error* error) {
  using namespace linnet::api;
  return Guarded(error, [&]() -> linnet::Status {
    if (engine == nullptr || path == nullptr || *path == '\0') return Wrong("no model or no recording");
    LINNET_ASSIGN(const auto given, Given<linnet_transcribe_options>(options, LINNET_TRANSCRIBE_OPTIONS));
    return Transcribe(*engine->model, path, given);
  });
}
