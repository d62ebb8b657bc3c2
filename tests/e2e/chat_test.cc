// A person chatting with Chick at a terminal.
#include <gtest/gtest.h>
#include <unistd.h>

#include "program.h"
#include "terminal.h"

namespace linnet {
namespace {

TEST(Chat, AnswersWithPicturesKeepsHistoryAndLeaves) {
  {
    Terminal chat({"run"});
    ASSERT_TRUE(chat.Expect("/help")) << chat.screen();
    chat.Type("6 + 1\n");
    EXPECT_TRUE(chat.Expect("\n7\r\n")) << chat.screen();
    EXPECT_TRUE(chat.Expect("tokens/s"));
    chat.Type("/image " + InSource("models/chick/examples/see-006.png") + "\n");
    EXPECT_TRUE(chat.Expect("goes with the next message")) << chat.screen();
    chat.Type("what is in the picture\n");
    EXPECT_TRUE(chat.Expect("a purple star and a yellow triangle")) << chat.screen();
    chat.Type("/rest\n");
    EXPECT_TRUE(chat.Expect("did you mean /reset?")) << chat.screen();
    chat.Type("/reset\n/quit\n");
    EXPECT_EQ(chat.Wait(), 0);
  }
  Terminal again({"run"});
  ASSERT_TRUE(again.Expect("> "));
  again.Type("\x1b[A\x1b[A\x1b[A\x1b[A\n");  // four lines up: the question about the picture
  EXPECT_TRUE(again.Expect("what is in the picture")) << again.screen();
  ASSERT_TRUE(again.Expect("tokens used"));
  ASSERT_TRUE(again.Expect("> "));
  usleep(200'000);  // the prompt is written before the editor takes the keys
  again.Type("\x04");
  EXPECT_EQ(again.Wait(), 0);
}

TEST(Chat, CtrlCStopsTheAnswerAndNotTheProgram) {
  // At this temperature, with this seed, Chick writes many hundred tokens before it ends by itself.
  Terminal chat(
      {"run", "--temperature", "50", "--top-k", "0", "--top-p", "1", "--context", "4000", "--seed", "1"});
  ASSERT_TRUE(chat.Expect("> "));
  chat.Type("hello\n");
  ASSERT_TRUE(chat.Expect("call:")) << chat.screen();  // the answer is being written
  chat.Type("\x03");
  EXPECT_TRUE(chat.Expect("linnet: stopped")) << chat.screen();
  ASSERT_TRUE(chat.Expect("> "));
  usleep(200'000);
  chat.Type("half a line\x03");
  EXPECT_TRUE(chat.Expect("^C"));
  chat.Type("/quit\n");
  EXPECT_EQ(chat.Wait(), 0);
}

TEST(Chat, AToolCallTakesItsResult) {
  Terminal chat({"run", "--max-tokens", "32"});
  ASSERT_TRUE(chat.Expect("> "));
  chat.Type("/result nothing\n");
  EXPECT_TRUE(chat.Expect("no tool call waits")) << chat.screen();
  chat.Type("Use a tool. call tom\n");
  EXPECT_TRUE(chat.Expect("call phone(name: \"tom\")")) << chat.screen();
  EXPECT_TRUE(chat.Expect("/result TEXT")) << chat.screen();
  chat.Type("/result tom answered\n");
  EXPECT_TRUE(chat.Expect("tokens/s")) << chat.screen();
  chat.Type("/quit\n");
  EXPECT_EQ(chat.Wait(), 0);
}

TEST(Chat, FilesAreNamedInsideAMessage) {
  Terminal chat({"run"});
  ASSERT_TRUE(chat.Expect("> "));
  chat.Type("what is in the picture @" + InSource("models/chick/examples/see-006.png") + "\n");
  EXPECT_TRUE(chat.Expect("goes with the next message")) << chat.screen();
  EXPECT_TRUE(chat.Expect("a purple star and a yellow triangle")) << chat.screen();
  ASSERT_TRUE(chat.Expect("tokens used"));
  chat.Type("/quit\n");
  EXPECT_EQ(chat.Wait(), 0);
}

// A microphone that speaks without end, in the pace of a person.
const char* const kSpeaking = "lavfi:sine=sample_rate=16000,arealtime";

TEST(Microphone, CtrlCEndsTheRecordingAndNotTheProgram) {
  Terminal live({"transcribe", "--mic", "--mic-device", kSpeaking, "-f", "json"});
  if (!live.Expect("Ctrl-C ends it")) GTEST_SKIP() << live.screen();
  usleep(1'500'000);
  live.Type("\x03");
  EXPECT_TRUE(live.Expect("\"seconds\": ")) << live.screen();
  EXPECT_EQ(live.Wait(), 0);
}

TEST(Microphone, ATurnOfTheChatIsSpoken) {
  Terminal chat({"run", "--mic-device", kSpeaking, "--max-tokens", "4"});
  ASSERT_TRUE(chat.Expect("> "));
  chat.Type("/mic\n");
  if (!chat.Expect("Ctrl-C ends it")) GTEST_SKIP() << chat.screen();
  usleep(1'000'000);
  chat.Type("\x03");
  EXPECT_TRUE(chat.Expect("goes with the next message")) << chat.screen();
  chat.Type("Transcribe the audio.\n");
  EXPECT_TRUE(chat.Expect("tokens used")) << chat.screen();
  chat.Type("/quit\n");
  EXPECT_EQ(chat.Wait(), 0);
}

}  // namespace
}  // namespace linnet
