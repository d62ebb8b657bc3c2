// What recordings of the field hold: sizes that were never written, sound that starts late or changes on the
// way, channels that cancel each other, and pipes instead of files.
#include <sys/wait.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "program.h"

namespace linnet {
namespace {

constexpr const char* kCommand = "play some jazz music\n";

bool HasAv(const ProgramResult& result) {
  return result.errors.find("this build of Linnet reads no") == std::string::npos;
}

size_t Count(const std::string& text, const std::string& part) {
  size_t count = 0;
  for (size_t at = 0; (at = text.find(part, at)) != std::string::npos; at += part.size()) ++count;
  return count;
}

std::string Number(uint64_t value, int bytes) {
  std::string out;
  for (int i = 0; i < bytes; ++i) out += static_cast<char>(value >> (8 * i));
  return out;
}

// The samples of the example: 22050 Hz, 16 bits.
std::vector<int16_t> Command() {
  const std::string bytes = ReadFile(InSource("examples/command.wav")).substr(44);
  std::vector<int16_t> samples(bytes.size() / 2);
  std::memcpy(samples.data(), bytes.data(), 2 * samples.size());
  return samples;
}

std::string Wav(int channels, int tag, int bits, const std::string& data) {
  const int frame = channels * bits / 8;
  return "RIFF" + Number(36 + data.size(), 4) + "WAVEfmt " + Number(16, 4) +
         Number(static_cast<uint64_t>(tag), 2) + Number(static_cast<uint64_t>(channels), 2) +
         Number(22050, 4) + Number(22050u * static_cast<unsigned>(frame), 4) +
         Number(static_cast<uint64_t>(frame), 2) + Number(static_cast<uint64_t>(bits), 2) + "data" +
         Number(data.size(), 4) + data;
}

// What is heard of this file, and the one note that belongs to it.
void ExpectHeard(const std::string& name, const std::string& bytes, const std::string& words,
                 const std::string& note) {
  const std::string file = Scratch(name);
  WriteFile(file, bytes);
  const ProgramResult heard = RunLinnet({"transcribe", file});
  EXPECT_EQ(heard.code, 0) << name << heard.errors;
  EXPECT_EQ(heard.output, words) << name;
  EXPECT_EQ(Count(heard.errors, "linnet: " + file + ": "), note.empty() ? 0u : 1u)
      << name << ": " << heard.errors;
  EXPECT_NE(heard.errors.find(note), std::string::npos) << name << ": " << heard.errors;
  const auto json = nlohmann::json::parse(RunLinnet({"transcribe", "-q", "-f", "json", file}).output);
  EXPECT_EQ(json.contains("notes"), !note.empty()) << name;
}

TEST(Sound, RecordingsThatWereNotFinishedAreHeard) {
  const std::string whole = ReadFile(InSource("examples/command.wav"));
  for (const uint32_t size : {0u, 0xffffffffu, 0x7ffff000u}) {
    std::string file = whole;
    file.replace(40, 4, Number(size, 4));
    ExpectHeard("unfinished.wav", file, kCommand, "not finished");
  }
}

TEST(Sound, WhatIsWrongWithASoundIsSaidOnce) {
  std::string quiet, antiphase, numbers;
  for (const int16_t sample : Command()) {
    quiet += Number(static_cast<uint64_t>(std::lround(sample * std::pow(10.0, -50.0 / 20))), 2);
    antiphase += Number(static_cast<uint64_t>(sample), 2) + Number(static_cast<uint64_t>(-sample), 2);
    const float value = static_cast<float>(sample) / 32768;
    numbers.append(reinterpret_cast<const char*>(&value), 4);
  }
  ExpectHeard("quiet.wav", Wav(1, 1, 16, quiet), kCommand, "very quiet");
  ExpectHeard("antiphase.wav", Wav(2, 1, 16, antiphase), kCommand, "cancel each other");
  for (size_t at = 0; at < 40; ++at)
    numbers.replace(4 * (at * 11), 4, Number(at % 2 == 0 ? 0x7fc00000 : 0x7f800000, 4));
  ExpectHeard("numbers.wav", Wav(1, 3, 32, numbers), kCommand, "40 samples were damaged");
  ExpectHeard("silent.wav", Wav(1, 1, 16, std::string(88200, '\0')), "", "silent from beginning to end");
  ExpectHeard("usual.wav", ReadFile(InSource("examples/command.wav")), kCommand, "");
}

TEST(Sound, BigEndianWaveFilesAreHeard) {
  std::string file = ReadFile(InSource("examples/command.wav"));
  const auto turn = [&file](size_t at, size_t bytes) {
    std::reverse(file.begin() + static_cast<ptrdiff_t>(at),
                 file.begin() + static_cast<ptrdiff_t>(at + bytes));
  };
  file.replace(0, 4, "RIFX");
  for (const size_t at : {4u, 16u, 24u, 28u, 40u}) turn(at, 4);
  for (const size_t at : {20u, 22u, 32u, 34u}) turn(at, 2);
  for (size_t at = 44; at + 2 <= file.size(); at += 2) turn(at, 2);
  ExpectHeard("big.wav", file, kCommand, "");
}

// When the first 20 ms of an example are loud.
double Onset(const std::string& example) {
  const std::string bytes = ReadFile(InSource(example)).substr(44);
  for (size_t at = 0; at + 882 <= bytes.size(); at += 882) {
    double sum = 0;
    for (size_t i = 0; i < 882; i += 2) {
      int16_t sample;
      std::memcpy(&sample, bytes.data() + at + i, 2);
      sum += static_cast<double>(sample) * sample;
    }
    if (std::sqrt(sum / 441) > 100) return static_cast<double>(at) / 44100;
  }
  return -1;
}

nlohmann::json Utterances(const std::string& file) {
  const ProgramResult heard = RunLinnet({"transcribe", "-q", "-f", "json", InSource(file)});
  EXPECT_EQ(heard.code, 0) << heard.errors;
  return nlohmann::json::parse(heard.output)["utterances"];
}

TEST(Sound, SubtitlesFollowTheTimeStampsOfAFilm) {
  if (!HasAv(RunLinnet({"transcribe", InSource("tests/data/media/tone.mp3")}))) GTEST_SKIP() << "no FFmpeg";
  const auto film = Utterances("tests/data/media/film.ts");
  ASSERT_EQ(film.size(), 2u);
  EXPECT_EQ(film[0]["text"], "play some jazz music");
  EXPECT_NEAR(film[0]["begin"].get<double>(), 4.0 + Onset("examples/command.wav"), 0.15);
  EXPECT_EQ(film[1]["text"], "what is the weather in paris");
  EXPECT_NEAR(film[1]["begin"].get<double>(), 19.7 + Onset("examples/weather.wav"), 0.15);

  for (const char* name :
       {"tests/data/field/sound_starts_at_4s.mkv", "tests/data/field/sound_starts_at_4s.mp4"}) {
    const auto late = Utterances(name);
    ASSERT_EQ(late.size(), 1u) << name;
    EXPECT_NEAR(late[0]["begin"].get<double>(), 4.0 + Onset("examples/command.wav"), 0.15) << name;
  }
  const auto gap = Utterances("tests/data/field/sound_gap_1.7s_to_15.7s.mkv");
  ASSERT_EQ(gap.size(), 2u);
  EXPECT_NEAR(gap[0]["begin"].get<double>(), 0.0, 0.15);
  EXPECT_NEAR(gap[1]["begin"].get<double>(), 15.7, 0.15);

  const ProgramResult shown = RunLinnet({"inspect", InSource("tests/data/media/film.ts"), "-o", Scratch("")});
  EXPECT_NE(shown.output.find("  sound: 21."), std::string::npos) << shown.output;
}

TEST(Sound, ChainedFilesAreWrittenDownToTheirEnd) {
  const ProgramResult heard =
      RunLinnet({"transcribe", "-f", "json", InSource("tests/data/field/chained_22k_then_44k.ogg")});
  if (!HasAv(heard)) GTEST_SKIP() << heard.errors;
  EXPECT_EQ(heard.code, 0) << heard.errors;
  const auto json = nlohmann::json::parse(heard.output);
  EXPECT_NEAR(json["seconds"].get<double>(), 3.357, 0.01);
  ASSERT_GE(json["utterances"].size(), 1u);
  EXPECT_GT(json["utterances"].back()["end"].get<double>(), 3.0);
  EXPECT_FALSE(json.contains("notes")) << json;
}

int Shell(const std::string& command) {
  const int status = std::system(command.c_str());
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

std::string Said(const std::string& command) {
  EXPECT_EQ(Shell("{ " + command + "; } >" + Scratch("said") + " 2>" + Scratch("complained")), 0)
      << command << ": " << ReadFile(Scratch("complained"));
  return ReadFile(Scratch("said"));
}

TEST(Pipes, AreReadLikeFiles) {
  const std::string linnet = LINNET_PROGRAM, wav = InSource("examples/command.wav"), fifo = Scratch("fifo");
  EXPECT_EQ(Said("cat " + wav + " | " + linnet + " transcribe -q -"), kCommand);
  EXPECT_EQ(Said("cat " + wav + " | " + linnet + " transcribe -q /dev/stdin"), kCommand);
  EXPECT_EQ(Said(linnet + " transcribe -q - <" + wav), kCommand);
  EXPECT_EQ(Said("mkfifo " + fifo + "; cat " + wav + " >" + fifo + " & " + linnet + " transcribe -q " + fifo),
            kCommand);
  EXPECT_EQ(Said("cat " + wav + " | " + linnet + " run -q -p 'Transcribe the audio.' --audio -"), kCommand);
  EXPECT_NE(Said("cat " + wav + " | " + linnet + " translate -q - --to fr"), "");
  EXPECT_NE(Said("cat " + InSource("examples/shapes.png") + " | " + linnet + " inspect - -o " + Scratch(""))
                .find("standard-input.inspect.png"),
            std::string::npos);
  EXPECT_EQ(Said("echo 'turn off the garden lamp' | " + linnet + " translate -q - --to fr"),
            "éteins la lampe dans le jardin\n");
  const std::string shapes = InSource("examples/shapes.png"),
                    ask = " run -q -p 'what is in the picture' --image ";
  const std::string seen = Said(linnet + ask + shapes);
  EXPECT_EQ(Said("cat " + shapes + " | " + linnet + ask + "-"), seen);
  EXPECT_EQ(Said("cat " + shapes + " | " + linnet + ask + "/dev/stdin"), seen);
  // The transcript of a pipe goes into a file, and the journal away.
  EXPECT_EQ(Said("cat " + wav + " | " + linnet + " transcribe -q - -o " + Scratch("piped.txt")), "");
  EXPECT_EQ(ReadFile(Scratch("piped.txt")), kCommand);
  EXPECT_FALSE(std::filesystem::exists(Scratch("piped.txt.journal")));
}

TEST(Pipes, APromptAndASoundCannotBothComeThroughOne) {
  EXPECT_EQ(RunLinnet({"run", "-q", "--audio", "-"}, "x").code, 2);
  EXPECT_EQ(RunLinnet({"run", "-q", "-p", "-", "--audio", "-"}, "x").code, 2);
}

std::string Message(char kind, const std::string& payload) {
  return kind + Number(payload.size(), 8) + payload;
}
std::string Text(const std::string& text) { return Number(text.size(), 8) + text; }

// A decoder that breaks off in the middle: what was heard before stays, all files are closed and whole, and
// the error names the recording.
TEST(Sound, AnErrorInTheMiddleLosesNothing) {
  std::string samples;
  for (const int16_t sample : Command()) {
    const float value = static_cast<float>(sample) / 32768;
    samples.append(reinterpret_cast<const char*>(&value), 4);
  }
  const std::string answer = Scratch("answer"), helper = Scratch("helper.sh"),
                    recording = Scratch("breaks.wav");
  WriteFile(answer, Message('H', Number(7, 8)) +
                        Message('I', Text("WAV") + Number(22050, 8) + Number(1, 8) + Number(~uint64_t{0}, 8) +
                                         Number(0, 8) + Text("")) +
                        Message('S', samples) +
                        Message('E', Number(2, 8) + Text("the tape is torn") + Text("mend it")));
  WriteFile(helper, "#!/bin/sh\nexec cat " + answer + "\n");
  std::filesystem::permissions(helper, std::filesystem::perms::owner_all);
  WriteFile(recording, "x");
  const std::string program = "LINNET_MEDIA_HELPER=" + helper + " " + LINNET_PROGRAM + " transcribe ";
  EXPECT_EQ(Shell(program + "-f json " + recording + " >" + Scratch("said") + " 2>" + Scratch("complained")),
            1);
  const auto json = nlohmann::json::parse(ReadFile(Scratch("said")));
  EXPECT_EQ(json["utterances"][0]["text"], "play some jazz music");
  EXPECT_NE(json["notes"].dump().find("the tape is torn"), std::string::npos) << json;
  EXPECT_EQ(Count(ReadFile(Scratch("complained")), "the tape is torn"), 1u);
  EXPECT_NE(ReadFile(Scratch("complained")).find("linnet: " + recording + ": the tape is torn; mend it"),
            std::string::npos);

  const std::string target = Scratch("torn.txt");
  EXPECT_EQ(Shell(program + "-q " + recording + " -o " + target + " 2>/dev/null"), 1);
  EXPECT_EQ(ReadFile(target), kCommand);
  EXPECT_FALSE(std::filesystem::exists(target + ".journal"));

  // Others go on.
  EXPECT_EQ(Shell(std::string(LINNET_PROGRAM) + " transcribe -q /nowhere.wav " +
                  InSource("examples/command.wav") + " >" + Scratch("said") + " 2>/dev/null"),
            1);
  EXPECT_EQ(ReadFile(Scratch("said")), kCommand);
}

}  // namespace
}  // namespace linnet
