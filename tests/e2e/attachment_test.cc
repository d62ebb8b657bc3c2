// Pictures and videos as people name them: every format and address, in every place that takes media.
#include <cstdlib>
#include <filesystem>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "program.h"
#include "terminal.h"

namespace linnet {
namespace {

std::string Field(const std::string& name) { return InSource("tests/data/field/" + name); }

TEST(Attachments, InspectKnowsEveryKind) {
  const std::string folder = Folder("kinds");
  const ProgramResult pictures =
      RunLinnet({"inspect", "-o", folder, Field("x.heic"), Field("x.avif"), Field("animated.png")});
  EXPECT_EQ(pictures.code, 0) << pictures.errors;
  EXPECT_NE(pictures.output.find("HEIC, 240 x 160 pixels"), std::string::npos) << pictures.output;
  EXPECT_NE(pictures.output.find("AVIF, 240 x 160 pixels"), std::string::npos) << pictures.output;
  EXPECT_NE(pictures.output.find("note: an animation"), std::string::npos) << pictures.output;
  const ProgramResult video = RunLinnet({"inspect", "-o", folder, Field("video.wmv")});
  if (HasVideo(video)) {
    EXPECT_EQ(video.code, 0) << video.errors;
    EXPECT_NE(video.output.find("Windows Media"), std::string::npos) << video.output;
  }
}

TEST(Attachments, AMediumOfAnotherKindIsNamed) {
  const ProgramResult image = RunLinnet({"run", "-q", "-p", "x", "--image", Field("video.wmv")});
  EXPECT_EQ(image.code, 1);
  EXPECT_NE(image.errors.find("Windows Media film (ASF), not a picture"), std::string::npos) << image.errors;
  const ProgramResult video = RunLinnet({"run", "-q", "-p", "x", "--video", Field("x.heic")});
  if (HasVideo(video)) {
    EXPECT_NE(video.errors.find("a HEIC picture, no sound or video"), std::string::npos) << video.errors;
  }
}

TEST(Attachments, AddressesAreShownShort) {
  const ProgramResult network = RunLinnet({"run", "-q", "-p", "x", "--image", "https://example.org/cat.png"});
  EXPECT_EQ(network.code, 2);
  EXPECT_NE(network.errors.find("fetches nothing from the network; download the file"), std::string::npos)
      << network.errors;
  const ProgramResult data = RunLinnet({"inspect", "DATA:image/png;BASE64," + std::string(5000, 'A')});
  EXPECT_EQ(data.code, 1);
  EXPECT_LT(data.errors.size(), 300u) << data.errors;
  EXPECT_NE(data.errors.find("(3750 bytes)"), std::string::npos) << data.errors;
  const ProgramResult file =
      RunLinnet({"inspect", "-o", Folder("address"), "File:" + InSource("examples/shapes.png")});
  EXPECT_EQ(file.code, 0) << file.errors;
}

TEST(Attachments, NamesOfFilesNeverReachTheTerminalRaw) {
  const std::string folder = Folder("names"), wild = folder + "/a\x1b]0;owned\x07\x1b[2J\nb";
  WriteFile(wild + ".txt", "no picture");
  std::filesystem::copy_file(InSource("examples/shapes.png"), wild + ".png",
                             std::filesystem::copy_options::overwrite_existing);
  const ProgramResult shown =
      RunLinnet({"inspect", wild + ".png", wild + ".txt", wild + ".none", "-o", folder});
  for (const std::string& text : {shown.output, shown.errors}) {
    EXPECT_EQ(text.find_first_of("\x1b\x07"), std::string::npos) << text;
    EXPECT_NE(text.find("a\\x1b]0;owned\\x07\\x1b[2J\\nb"), std::string::npos) << text;
  }
  const ProgramResult asked = RunLinnet({"run", "-q", "-n", "1", "-p", "x", "--image", wild + ".none"});
  EXPECT_EQ(asked.errors.find('\x1b'), std::string::npos) << asked.errors;
}

TEST(Attachments, WithoutAHelperMediaAreRefused) {
  ASSERT_EQ(::setenv("LINNET_MEDIA_HELPER", "/nowhere/linnet-media", 1), 0);
  const std::vector<std::string> command = {
      "run", "-q", "-n", "1", "-p", "x", "--json", "--image", InSource("examples/shapes.png")};
  const ProgramResult refused = RunLinnet(command);
  std::vector<std::string> off = command;
  off.emplace_back("--no-sandbox");
  const ProgramResult inside = RunLinnet(off);
  ::unsetenv("LINNET_MEDIA_HELPER");
  EXPECT_EQ(refused.code, 1);
  EXPECT_TRUE(refused.output.empty()) << refused.output;
  EXPECT_NE(refused.errors.find("--no-sandbox decodes inside this process, without protection"),
            std::string::npos)
      << refused.errors;
  ASSERT_EQ(inside.code, 0) << inside.errors;
  const size_t warned = inside.errors.find("linnet: the sandbox is off");
  EXPECT_LT(warned, inside.errors.find("shapes.png"))
      << inside.errors;  // before anything is said of the picture
  const auto media = nlohmann::json::parse(inside.output)["media"];
  EXPECT_TRUE(media[0]["unprotected"].get<std::string>().starts_with("the sandbox is off"));
}

TEST(Attachments, AMessageWithoutItsPictureIsNotAsked) {
  const std::string notes = Scratch("notes.bin");
  WriteFile(notes, "\x01\x02\x03");
  Terminal chat({"run", "-n", "4"});
  ASSERT_TRUE(chat.Expect("> "));
  chat.Type("what @" + notes + "\n");
  EXPECT_TRUE(chat.Expect("is no picture, sound or video")) << chat.screen();
  chat.Type("what @/nowhere/cat.JPG, please\n");
  EXPECT_TRUE(chat.Expect("cat.JPG: is not there")) << chat.screen();
  chat.Type("what @https://example.org/a.png\n");
  EXPECT_TRUE(chat.Expect("fetches nothing")) << chat.screen();
  EXPECT_EQ(chat.screen().find("tokens used"), std::string::npos) << chat.screen();
  chat.Type("what is in the picture, @" + Field("x.heic") + "?\n");
  EXPECT_TRUE(chat.Expect("goes with the next message")) << chat.screen();
  EXPECT_TRUE(chat.Expect("tokens used")) << chat.screen();
  chat.Type("hello @anna\n");
  EXPECT_TRUE(chat.Expect("tokens used")) << chat.screen();
  chat.Type("/quit\n");
  EXPECT_EQ(chat.Wait(), 0);
}

}  // namespace
}  // namespace linnet
