#include "quant/calibration_media.h"

#include "runtime/chat_history.h"
#include "runtime/engine_impl.h"
#include "runtime/media_composer.h"

namespace linnet {

Result<bool> IsMedium(const std::string& path) {
  LINNET_ASSIGN(const MediaFormat format, RecogniseMedia(MediaSource(std::filesystem::path(path))));
  return format.kind != MediaKind::kUnknown;
}

Result<Prompt> PromptWithMedium(const Engine& engine, const MediaLoader& loader, const std::string& path,
                                std::vector<std::string>& notes) {
  const Engine::Impl& impl = engine.impl();
  const MediaSource source{std::filesystem::path(path)};
  LINNET_ASSIGN(const MediaFormat format, RecogniseMedia(source));
  UserMessage message;
  message.text = format.kind == MediaKind::kSound ? "Transcribe the audio." : "Describe what is to be seen.";
  std::vector<MediaPart> parts;
  parts.push_back({.content = source, .kind = format.kind});
  LINNET_ASSIGN(const std::vector<MediaUse> uses,
                AddMedia(loader, impl.config, {.context = kMediaWindow}, std::move(parts), message));
  for (const MediaUse& use : uses) {
    for (const std::string& note : use.notes) notes.push_back(use.file + ": " + note);
  }
  ChatHistory history("", nullptr, false);
  history.AddUser(std::move(message));
  LINNET_ASSIGN(ChatHistory::Rendered rendered, history.Render(*impl.tokenizer, impl.config));
  return std::move(rendered.prompt);
}

}  // namespace linnet
