// Models converted to GGUF are the same models: the reference data passes from the converted files as well.
#include <filesystem>

#include <gtest/gtest.h>

#include <filesystem>

#include "program.h"

namespace linnet {
namespace {

TEST(Convert, TheReferenceCasesPassFromGguf) {
  const std::string directory = Scratch("convert");
  std::filesystem::create_directories(directory);
  for (const std::string type : {"f32"}) {
    const std::string file = directory + "/target-" + type + ".gguf";
    const ProgramResult converted =
        RunLinnet({"convert", InSource("tests/data/golden/model/target"), file, "--type", type});
    ASSERT_EQ(converted.code, 0) << converted.errors;
    const ProgramResult parity =
        RunLinnet({"parity", InSource("tests/data/golden"), "--filter", "model/text", "--model", file});
    EXPECT_EQ(parity.code, 0) << parity.output << parity.errors;
    EXPECT_NE(parity.output.find("pass     model/text-long"), std::string::npos) << parity.output;
    const ProgramResult media =
        RunLinnet({"parity", InSource("tests/data/golden"), "--filter", "model/media", "--model", file});
    EXPECT_EQ(media.code, 0) << media.output << media.errors;
    EXPECT_NE(media.output.find("pass     model/media-mixed"), std::string::npos) << media.output;
  }
}

TEST(Convert, ShardedDirectoriesAreTheSameModel) {
  const ProgramResult parity = RunLinnet({"parity", InSource("tests/data/golden"), "--filter", "model/text",
                                          "--model", InSource("tests/data/golden/model/target-sharded")});
  EXPECT_EQ(parity.code, 0) << parity.output << parity.errors;
}

TEST(Convert, ChickAnswersFromEveryFormat) {
  const std::string directory = Scratch("convert_chick");
  std::filesystem::create_directories(directory);
  for (const std::string type : {"bf16", "f32", "q8_0"}) {
    const std::string file = directory + "/chick-" + type + ".gguf";
    ASSERT_EQ(RunLinnet({"convert", InSource("models/chick"), file, "--type", type}).code, 0);
    const ProgramResult heard = RunLinnet({"run", file, "-p", "Transcribe the audio.", "--audio",
                                           InSource("models/chick/examples/hear-050.wav")});
    EXPECT_EQ(heard.output, "turn off the bedroom heater\n") << type << heard.errors;
    EXPECT_EQ(RunLinnet({"convert", InSource("models/chick"), file, "--type", type}).code,
              2);  // exists already
  }
}

TEST(Convert, PackedFilesAnswerTheSameAndSayWhenTheyCannotBeUsed) {
  const std::string directory = Scratch("convert_packed");
  std::filesystem::create_directories(directory);
  const std::string file = directory + "/chick-packed.gguf";
  const ProgramResult converted = RunLinnet({"convert", InSource("models/chick"), file, "--pack"});
  ASSERT_EQ(converted.code, 0) << converted.errors;
  const ProgramResult heard = RunLinnet({"run", file, "-p", "Transcribe the audio.", "--audio",
                                         InSource("models/chick/examples/hear-050.wav")});
  EXPECT_EQ(heard.output, "turn off the bedroom heater\n") << heard.errors;
  EXPECT_NE(RunLinnet({"info", file}).output.find("bf16 packed"), std::string::npos);
  const ProgramResult again = RunLinnet({"convert", file, directory + "/again.gguf"});
  EXPECT_EQ(again.code, 2);
  EXPECT_NE(again.errors.find("convert the file it was made from"), std::string::npos) << again.errors;
  std::string bytes = ReadFile(file);
  bytes.replace(bytes.find("panels16-1"), 10, "panels32-7");
  WriteFile(file, bytes);
  const ProgramResult other = RunLinnet({"run", file, "-p", "hi"});
  EXPECT_EQ(other.code, 1);
  EXPECT_NE(other.errors.find("panels32-7"), std::string::npos) << other.errors;
  EXPECT_NE(other.errors.find("--pack"), std::string::npos) << other.errors;
}

TEST(Quantise, ChickStillHearsAndTheSizeIsSaidBefore) {
  const std::string directory = Folder("quantise");
  const std::string file = directory + "/chick-q8_0.gguf";
  const ProgramResult said =
      RunLinnet({"quantize", InSource("models/chick"), file, "--mix", "q8_0", "--dry-run"});
  EXPECT_EQ(said.code, 0) << said.errors;
  EXPECT_NE(said.output.find("would write " + file), std::string::npos) << said.output;
  EXPECT_FALSE(std::filesystem::exists(file));
  const ProgramResult made =
      RunLinnet({"quantise", InSource("models/chick"), file, "--mix", "q8_0", "--list"});
  ASSERT_EQ(made.code, 0) << made.errors;
  EXPECT_NE(made.output.find("relative squared error"), std::string::npos) << made.output;
  const size_t size = said.output.find("would write " + file) + 12;
  EXPECT_NE(made.output.find("wrote " + said.output.substr(size, said.output.find('\n', size) - size)),
            std::string::npos)
      << said.output << made.output;
  const ProgramResult heard = RunLinnet({"run", file, "-p", "Transcribe the audio.", "--audio",
                                         InSource("models/chick/examples/hear-050.wav")});
  EXPECT_EQ(heard.output, "turn off the bedroom heater\n") << heard.errors;
  EXPECT_EQ(RunLinnet({"quantise", InSource("models/chick"), file}).code, 2) << "exists already";
  const ProgramResult mix =
      RunLinnet({"quantise", InSource("models/chick"), directory + "/x.gguf", "--mix", "q9"});
  EXPECT_EQ(mix.code, 2);
  EXPECT_NE(mix.errors.find("q4_k_m"), std::string::npos) << mix.errors;
}

TEST(Quantise, DirectoriesForOtherProgramsStillHearAndSee) {
  const std::string directory = Folder("quantise_directories");
  for (const std::string form : {"mlx-8bit-g64", "w4a16-g32"}) {
    const std::string made = directory + "/" + form;
    const ProgramResult result =
        RunLinnet({"quantise", InSource("models/chick"), made, "--mix", form, "--max-shard-size", "4MB"});
    ASSERT_EQ(result.code, 0) << result.errors;
    EXPECT_NE(result.output.find(made + "/model-00001-of-0000"), std::string::npos) << result.output;
    const ProgramResult info = RunLinnet({"info", made});
    EXPECT_EQ(info.code, 0) << info.errors;
    EXPECT_NE(info.output.find(form.starts_with("mlx") ? "mlx" : "compressed-tensors"), std::string::npos)
        << info.output;
    const ProgramResult heard = RunLinnet({"run", made, "-p", "Transcribe the audio.", "--audio",
                                           InSource("models/chick/examples/hear-050.wav")});
    EXPECT_EQ(heard.output, "turn off the bedroom heater\n") << form << heard.errors;
  }
  EXPECT_EQ(RunLinnet({"quantise", InSource("models/chick"), directory, "--mix", "w4a16-g32"}).code, 2)
      << "holds something";
}

TEST(Quantise, CalibratesWithPicturesAndSounds) {
  const std::string directory = Folder("quantise_media");
  const std::string file = directory + "/chick.gguf";
  const ProgramResult made =
      RunLinnet({"quantise", InSource("models/chick"), file, "--mix", "q8_0", "--projections", "q8_0",
                 "--calibrate", InSource("examples/shapes.png"), "--calibrate",
                 InSource("models/chick/examples/hear-050.wav"), "--save-importance", directory + "/i.dat"});
  ASSERT_EQ(made.code, 0) << made.errors;
  EXPECT_NE(made.output.find("2 media"), std::string::npos) << made.output;
  const std::string importance = ReadFile(directory + "/i.dat");
  for (const char* name :
       {"mm.input_projection.weight", "mm.a.input_projection.weight", "blk.0.ffn_up.weight"}) {
    EXPECT_NE(importance.find(name), std::string::npos) << name;
  }
  const ProgramResult heard = RunLinnet({"run", file, "-p", "Transcribe the audio.", "--audio",
                                         InSource("models/chick/examples/hear-050.wav")});
  EXPECT_EQ(heard.output, "turn off the bedroom heater\n") << heard.errors;
  WriteFile(directory + "/broken.png", "\x89PNG\r\n\x1a\n and nothing else");
  const ProgramResult broken = RunLinnet({"quantise", InSource("models/chick"), directory + "/x.gguf",
                                          "--calibrate", directory + "/broken.png"});
  EXPECT_EQ(broken.code, 1);
  EXPECT_NE(broken.errors.find("broken.png"), std::string::npos) << broken.errors;
}

TEST(Quantise, CalibratesWithTextsOfTheUserAndMeasuresWhatWasLost) {
  const std::string directory = Folder("quantise_calibrated");
  const std::string file = directory + "/chick-q4_0.gguf", chats = directory + "/chats.jsonl";
  WriteFile(chats,
            "{\"messages\": [{\"role\": \"user\", \"content\": \"5 + 10\"}, "
            "{\"role\": \"assistant\", \"content\": \"15\"}]}\n\n"
            "{\"text\": \"turn off the garden lamp\"}\n");
  const ProgramResult made = RunLinnet({"quantise", InSource("models/chick"), file, "--mix", "q4_0",
                                        "--calibrate", chats, "--calibrate", "builtin", "--save-importance",
                                        directory + "/imatrix.dat", "--verify", "builtin"});
  ASSERT_EQ(made.code, 0) << made.errors;
  EXPECT_NE(made.output.find("calibrated with"), std::string::npos) << made.output;
  EXPECT_NE(made.output.find("german"), std::string::npos) << made.output;
  EXPECT_TRUE(std::filesystem::exists(directory + "/imatrix.dat"));
  // What was found serves again.
  const std::string again = directory + "/again.gguf";
  EXPECT_EQ(
      RunLinnet({"quantise", InSource("models/chick"), again, "--importance", directory + "/imatrix.dat"})
          .code,
      0);
  WriteFile(chats, "{\"messages\": 3}\n");
  const ProgramResult bad =
      RunLinnet({"quantise", InSource("models/chick"), again, "--force", "--calibrate", chats});
  EXPECT_EQ(bad.code, 1);
  EXPECT_NE(bad.errors.find("line 1"), std::string::npos) << bad.errors;
  EXPECT_EQ(RunLinnet({"quantise", InSource("models/chick"), again, "--force", "--to", "1K"}).code, 2);
  EXPECT_EQ(
      RunLinnet({"quantise", InSource("models/chick"), again, "--force", "--to", "8MB", "--mix", "q4_0"})
          .code,
      2);
}

}  // namespace
}  // namespace linnet
