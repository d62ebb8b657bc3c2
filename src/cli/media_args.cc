#include "cli/media_args.h"

#include <utility>

#include "cli/report.h"

namespace linnet {
namespace {

MediaOptions OptionsOf(const MediaArgs& values) {
  const std::string& tokens = values.image_tokens;  // one of the choices
  return {.image_tokens = tokens == "auto"    ? 0
                          : tokens == "model" ? kModelImageTokens
                                              : std::stoll(tokens),
          .frame_tokens = std::stoll(values.frame_tokens),
          .frames_per_second = values.frames_per_second,
          .max_frames = values.max_frames,
          .pages = values.pages};
}

Result<std::vector<MediaUse>> Told(Result<std::vector<MediaUse>> uses) {
  if (!uses) return uses;
  for (const MediaUse& use : *uses) {
    for (const std::string& note : use.notes) Say("linnet: {}: {}\n", use.file, note);
  }
  return uses;
}

}  // namespace

void DeclareMedia(Args& args, MediaArgs& values) {
  args.Option("--image", values.images,
              "a picture (PNG, JPEG, WebP, HEIC, AVIF, GIF, BMP, TIFF) or a PDF; can be given again");
  args.Option("--pages", values.pages, "pages of a PDF, as 1-3, 2,5 or 2-; the first if none are named");
  args.Option("--audio", values.audio, "a sound (WAV; FLAC, MP3, Ogg, M4A, WebM); can be given again");
  args.Option("--video", values.videos, "a video (MP4, WebM, WMV) with its sound track; can be given again");
  args.Choice("--image-tokens", values.image_tokens, {"auto", "model", "70", "140", "280", "560", "1120"},
              "tokens a picture may take: more show more detail; auto = enough not to shrink it");
  args.Option("--fps", values.frames_per_second, "frames of a video a second");
  args.Option("--max-frames", values.max_frames,
              "frames of a video at most; a longer one is sampled more thinly");
  args.Choice("--frame-tokens", values.frame_tokens, {"70", "140", "280", "560", "1120"},
              "tokens a video frame may take");
  args.Flag("--no-sandbox", values.no_sandbox, "decode media inside this process, without protection");
  DeclareMic(args, values.mic);
}

Result<std::vector<MediaUse>> LoadMedia(const MediaArgs& values, Conversation& conversation,
                                        UserMessage& message) {
  std::vector<Attachment> files;
  const std::pair<const char*, const std::vector<std::string>&> kinds[] = {
      {"image", values.images}, {"video", values.videos}, {"audio", values.audio}};
  for (const auto& [kind, names] : kinds) {
    for (const std::string& name : names) {
      LINNET_ASSIGN(MediaSource source, ParseMediaAddress(name));
      files.push_back({kind, std::move(source)});
    }
  }
  return LoadAttachments(files, values, conversation, message);
}

Result<std::vector<MediaUse>> LoadAttachments(std::span<const Attachment> files, const MediaArgs& values,
                                              Conversation& conversation, UserMessage& message) {
  std::vector<MediaPart> parts;
  for (const Attachment& file : files) {
    const MediaKind kind = file.kind == "image"   ? MediaKind::kPicture
                           : file.kind == "video" ? MediaKind::kVideo
                                                  : MediaKind::kSound;
    parts.push_back({.content = file.source, .kind = kind, .options = OptionsOf(values)});
  }
  if (parts.empty()) return {};
  const MediaLoader loader({.sandbox = !values.no_sandbox});
  WarnOfWeakness(loader);
  return Told(conversation.Attach(loader, std::move(parts), message));
}

Result<std::vector<MediaUse>> LoadMic(const MediaArgs& values, Conversation& conversation,
                                      const std::atomic<bool>& stop, UserMessage& message) {
  LINNET_ASSIGN(const double seconds, conversation.RoomForSound(message));
  LINNET_ASSIGN(AudioClip clip, RecordClip(values.mic, seconds, stop));
  std::vector<MediaPart> parts;
  parts.push_back({.content = std::move(clip), .options = {}, .name = "microphone"});
  // Samples need no decoder, and so no sandbox.
  return Told(conversation.Attach(MediaLoader({.sandbox = false}), std::move(parts), message));
}

void WarnOfWeakness(const MediaLoader& loader) {
  static bool told = false;
  const std::string weakness = loader.Weakness();
  if (told || weakness.empty()) return;
  told = true;
  Say("linnet: {}\n", weakness);
}

}  // namespace linnet
