// Asks about a picture, then about a sound, in one conversation.
// Usage: picture_and_sound PICTURE SOUND [MODEL]; without a model it is Chick, which is built in.
#include <cstdio>
#include <string>

#include <linnet/conversation.h>
#include <linnet/engine.h>
#include <linnet/media.h>

namespace {

linnet::Status Ask(linnet::Conversation& chat, const linnet::MediaLoader& loader, const std::string& file,
                   const std::string& question) {
  linnet::UserMessage message;
  message.text = question;
  LINNET_ASSIGN(const auto uses, chat.Attach(loader, {{linnet::MediaSource(file)}}, message));
  for (const linnet::MediaUse& use : uses) {
    for (const std::string& note : use.notes)
      std::fprintf(stderr, "%s: %s\n", use.file.c_str(), note.c_str());
  }
  chat.AddUser(std::move(message));

  std::printf("%s (%lld tokens): ", question.c_str(), static_cast<long long>(uses.front().soft_tokens));
  linnet::GenerateHooks hooks;
  hooks.on_text = [](std::string_view piece) {
    std::printf("%.*s", static_cast<int>(piece.size()), piece.data());
    std::fflush(stdout);
  };
  LINNET_TRY(chat.Answer({}, hooks));
  std::printf("\n");
  return {};
}

linnet::Status Run(const std::string& picture, const std::string& sound, const std::string& model) {
  LINNET_ASSIGN(const auto engine, linnet::Engine::Load({.model = model}));
  LINNET_ASSIGN(linnet::Conversation chat, linnet::Conversation::Create(*engine));
  const linnet::MediaLoader loader;  // decodes in a process without rights
  if (const std::string weakness = loader.Weakness(); !weakness.empty()) {
    std::fprintf(stderr, "%s\n", weakness.c_str());
  }
  LINNET_TRY(Ask(chat, loader, picture, "what is in the picture"));
  return Ask(chat, loader, sound, "Transcribe the audio.");
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 3) {
    std::fprintf(stderr, "usage: %s PICTURE SOUND [MODEL]\n", arguments[0]);
    return 2;
  }
  const linnet::Status done = Run(arguments[1], arguments[2], count > 3 ? arguments[3] : "");
  if (!done) std::fprintf(stderr, "%s\n", done.error().Message().c_str());
  return done ? 0 : 1;
}
