// Pictures, sounds and videos through the program: inspect, transcribe, translate, and run with media of
// every kind.
#include <filesystem>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "program.h"

namespace linnet {
namespace {

TEST(Inspect, ShowsPicturesSoundsAndVideos) {
  const std::string folder = Folder("inspect");
  const ProgramResult shown =
      RunLinnet({"inspect", InSource("examples/shapes.png"), InSource("examples/command.wav"), "-o", folder});
  EXPECT_EQ(shown.code, 0) << shown.errors;
  // Where the system does not grant all of the sandbox, that is all there is to say.
  EXPECT_TRUE(shown.errors.empty() || shown.errors.find("does not grant") != std::string::npos)
      << shown.errors;
  EXPECT_NE(shown.output.find("* budget  280"), std::string::npos) << shown.output;
  EXPECT_NE(shown.output.find("piece    1"), std::string::npos) << shown.output;
  for (const char* name : {"/shapes.png.inspect.png", "/command.wav.inspect.png"}) {
    EXPECT_TRUE(ReadFile(folder + name).starts_with("\x89PNG")) << name;
  }
  const ProgramResult video = RunLinnet({"inspect", InSource("tests/data/media/clip.mp4"), "-o", folder});
  if (HasVideo(video)) {
    EXPECT_EQ(video.code, 0) << video.errors;
    EXPECT_NE(video.output.find("told as 00:05"), std::string::npos) << video.output;
    EXPECT_TRUE(ReadFile(folder + "/clip.mp4.inspect.png").starts_with("\x89PNG"));
  }
}

TEST(Inspect, AWrongFileDoesNotStopTheOthers) {
  const ProgramResult shown =
      RunLinnet({"inspect", "/nowhere.png", InSource("examples/shapes.png"), "-o", Folder("inspect_wrong")});
  EXPECT_EQ(shown.code, 1);
  EXPECT_NE(shown.errors.find("/nowhere.png"), std::string::npos);
  EXPECT_NE(shown.output.find("shown in"), std::string::npos);
}

TEST(Transcribe, WritesDownAndLeavesFinishedTranscriptsAlone) {
  const ProgramResult heard =
      RunLinnet({"transcribe", "-q", InSource("examples/command.wav"), InSource("examples/weather.wav")});
  EXPECT_EQ(heard.code, 0) << heard.errors;
  EXPECT_EQ(heard.output, "play some jazz music\nwhat is the weather in paris\n");

  const std::string folder = Folder("transcripts");
  const std::vector<std::string> command = {
      "transcribe", InSource("examples/command.wav"), "-f", "json", "-o", folder};
  EXPECT_EQ(RunLinnet(command).code, 0);
  const auto json = nlohmann::json::parse(ReadFile(folder + "/command.wav.json"));
  ASSERT_EQ(json["utterances"].size(), 1u);
  EXPECT_EQ(json["utterances"][0]["text"], "play some jazz music");
  EXPECT_FALSE(std::filesystem::exists(folder + "/command.wav.json.journal"));
  EXPECT_NE(RunLinnet(command).errors.find("is there already"), std::string::npos);
}

TEST(Transcribe, SubtitlesAndErrors) {
  const ProgramResult subtitles =
      RunLinnet({"transcribe", "-q", "-f", "srt", InSource("examples/command.wav")});
  EXPECT_TRUE(subtitles.output.starts_with("1\n00:00:00,000 --> 00:00:01,")) << subtitles.output;
  const ProgramResult wrong = RunLinnet({"transcribe", InSource("examples/shapes.png"), "/nowhere.wav"});
  EXPECT_EQ(wrong.code, 1);
  EXPECT_NE(wrong.errors.find("/nowhere.wav: cannot open"), std::string::npos) << wrong.errors;
  EXPECT_EQ(RunLinnet({"transcribe", "-f", "doc", "x.wav"}).code, 2);
}

TEST(Translate, TextsAndRecordings) {
  const ProgramResult text = RunLinnet({"translate", "-", "--to", "fr", "-q"}, "turn off the garden lamp\n");
  EXPECT_EQ(text.code, 0) << text.errors;
  EXPECT_EQ(text.output, "éteins la lampe dans le jardin\n");
  EXPECT_EQ(RunLinnet({"translate", "-", "--to", "x!"}, "hello").code, 2);
  EXPECT_EQ(RunLinnet({"translate", "-", "--to", "fr"}, "").code, 1);
}

TEST(RunWithMedia, VideosAddressesAndSandbox) {
  const ProgramResult video =
      RunLinnet({"run", "-q", "-p", "what", "--video", InSource("tests/data/media/clip.mp4"), "--max-frames",
                 "3", "--json"});
  if (HasVideo(video)) {
    ASSERT_EQ(video.code, 0) << video.errors;
    const auto media = nlohmann::json::parse(video.output)["media"];
    ASSERT_EQ(media.size(), 2u);
    EXPECT_EQ(media[0]["soft_tokens"], 189);
    EXPECT_EQ(media[1]["kind"], "video sound");
    EXPECT_NE(video.errors.find("3 are used"), std::string::npos) << video.errors;
  }
  const ProgramResult address = RunLinnet({"run", "-q", "-p", "Transcribe the audio.", "--audio",
                                           "file://" + InSource("examples/command.wav"), "--no-sandbox"});
  EXPECT_EQ(address.output, "play some jazz music\n");
  EXPECT_NE(address.errors.find("the sandbox is off"), std::string::npos) << address.errors;
}

// The command, followed by a second of silence, again and again: 22050 Hz, 16 bits.
constexpr size_t kExampleRate = 22050;
void WriteLongRecording(const std::string& path, size_t seconds) {
  std::string samples;
  while (samples.size() < 2 * kExampleRate * seconds) {
    samples += ReadFile(InSource("examples/command.wav")).substr(44) + std::string(2 * kExampleRate, '\0');
  }
  std::string head = ReadFile(InSource("examples/command.wav")).substr(0, 44);
  const auto put = [&head](size_t at, size_t value) {
    for (size_t i = 0; i < 4; ++i) head[at + i] = static_cast<char>(value >> (8 * i));
  };
  put(4, samples.size() + 36);
  put(40, samples.size());
  WriteFile(path, head + samples);
}

TEST(RunWithMedia, LongSoundsAreGivenInPartsAndNothingIsDropped) {
  const std::string recording = Scratch("long.wav");
  WriteLongRecording(recording, 40);
  const std::vector<std::string> command = {"run", "-q",     "-p",      "what",   "-n",
                                            "1",   "--json", "--audio", recording};
  const ProgramResult parts = RunLinnet(command);
  ASSERT_EQ(parts.code, 0) << parts.errors;
  EXPECT_NE(parts.errors.find("sounds of at most 15 s"), std::string::npos) << parts.errors;
  const auto media = nlohmann::json::parse(parts.output)["media"];
  ASSERT_EQ(media.size(), 1u);
  const auto samples = static_cast<int64_t>((ReadFile(recording).size() - 44) / 2 * 16000 / kExampleRate);
  // Every part's last frame may be partly filled.
  EXPECT_GE(media[0]["soft_tokens"], (samples + 639) / 640);
  EXPECT_LE(media[0]["soft_tokens"], (samples + 639) / 640 + 8);

  std::vector<std::string> narrow = command;
  narrow.insert(narrow.end(), {"--context", "600"});
  const ProgramResult refused = RunLinnet(narrow);
  EXPECT_EQ(refused.code, 2);
  EXPECT_NE(refused.errors.find("linnet transcribe"), std::string::npos) << refused.errors;
  EXPECT_NE(refused.errors.find("the context holds 600"), std::string::npos) << refused.errors;
}

std::string MadeSound() { return "lavfi:amovie=" + InSource("examples/command.wav") + ",apad=pad_dur=1"; }

// Builds without libavdevice say so.
bool HasMicrophone(const ProgramResult& result) {
  return result.errors.find("has no microphone") == std::string::npos;
}

TEST(Microphone, IsHeardByEveryCommandThatHears) {
  const ProgramResult heard = RunLinnet({"transcribe", "--mic", "--mic-device", MadeSound(), "--timestamps"});
  if (!HasMicrophone(heard)) GTEST_SKIP() << heard.errors;
  EXPECT_EQ(heard.code, 0) << heard.errors;
  EXPECT_EQ(heard.output, "[00:00] play some jazz music\n");
  EXPECT_NE(heard.errors.find("Ctrl-C ends it"), std::string::npos) << heard.errors;

  const ProgramResult french =
      RunLinnet({"translate", "--mic", "--mic-device", MadeSound(), "--to", "fr", "-f", "json", "-q"});
  EXPECT_EQ(french.code, 0) << french.errors;
  EXPECT_EQ(nlohmann::json::parse(french.output)["utterances"][0]["text"], "play some jazz music");

  const ProgramResult asked =
      RunLinnet({"run", "--mic", "--mic-device", "lavfi:amovie=" + InSource("examples/command.wav"), "-p",
                 "Transcribe the audio.", "-q"});
  EXPECT_EQ(asked.output, "play some jazz music\n") << asked.errors;
}

TEST(Microphone, KeepsTheTranscriptInItsFile) {
  const std::string folder = Folder("spoken");
  const std::vector<std::string> command = {"transcribe", "--mic", "--mic-device", MadeSound(),
                                            "-o",         folder,  "-f",           "vtt"};
  const ProgramResult heard = RunLinnet(command);
  if (!HasMicrophone(heard)) GTEST_SKIP() << heard.errors;
  EXPECT_EQ(heard.code, 0) << heard.errors;
  EXPECT_TRUE(ReadFile(folder + "/microphone.vtt").ends_with("play some jazz music\n\n"));
  const ProgramResult again = RunLinnet(command);
  EXPECT_EQ(again.code, 2);
  EXPECT_NE(again.errors.find("is there already"), std::string::npos) << again.errors;
}

TEST(Microphone, WrongUseIsOneError) {
  const std::string file = InSource("examples/command.wav");
  const std::vector<std::vector<std::string>> wrong = {{"transcribe", "--mic", file},
                                                       {"transcribe"},
                                                       {"transcribe", "--seconds", "3", file},
                                                       {"run", "-p", "x", "--mic-device", "alsa:default"},
                                                       {"transcribe", "--mic", "--seconds", "-1"}};
  for (const auto& arguments : wrong) {
    const ProgramResult result = RunLinnet(arguments);
    EXPECT_EQ(result.code, 2) << arguments.back();
    EXPECT_NE(result.errors.find("; "), std::string::npos) << result.errors;
  }
  const ProgramResult kind = RunLinnet({"transcribe", "--mic", "--mic-device", "tape:1"});
  if (HasMicrophone(kind)) {
    EXPECT_EQ(kind.code, 2);
    EXPECT_NE(kind.errors.find("\"tape\" is no kind of microphone"), std::string::npos) << kind.errors;
  }
}

}  // namespace
}  // namespace linnet
