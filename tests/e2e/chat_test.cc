// A person chatting with Chick at a terminal.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <thread>

#include "program.h"
#include "terminal.h"

namespace linnet {
namespace {

using namespace std::string_literals;

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

// After another system message the session has nothing of the first one: what it had read comes from the
// store.
TEST(Chat, SaysWhatItDidNotReadAgain) {
  for (const bool kept : {true, false}) {
    Terminal chat({"run", "--cache-ram", kept ? "100M" : "0"});
    ASSERT_TRUE(chat.Expect("> "));
    for (const char* system : {"You are terse.", "Answer at length.", "You are terse."}) {
      chat.Type("/system "s + system + "\n");
      ASSERT_TRUE(chat.Expect("begins anew")) << chat.screen();
      chat.Type("5 + 10\n");
      ASSERT_TRUE(chat.Expect("tokens used")) << chat.screen();
    }
    const std::string last = chat.screen().substr(chat.screen().rfind("linnet: prompt "));
    EXPECT_EQ(std::stoi(last.substr(sizeof("linnet: prompt"))) < 10, kept) << last;
    EXPECT_NE(last.find(" reused, "), std::string::npos) << last;
    chat.Type("/quit\n");
    EXPECT_EQ(chat.Wait(), 0);
  }
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

// Types keys into a chat of its own and looks for what is answered.
void ExpectAnswer(const std::string& keys, const std::string& answer) {
  Terminal chat({"run", "-q", "--temperature", "0"});
  ASSERT_TRUE(chat.Expect("> ") && chat.ExpectEditor());
  chat.Type(keys);
  EXPECT_TRUE(chat.Expect("\n" + answer + "\r\n")) << chat.screen();
  ASSERT_TRUE(chat.Expect("> ") && chat.ExpectEditor()) << chat.screen();
  chat.Type("/quit\r");
  EXPECT_EQ(chat.Wait(), 0);
  EXPECT_EQ(chat.screen().find("tokens/s"), std::string::npos) << chat.screen();  // -q
}

TEST(Chat, SequencesOfKeysAreReadToTheirEnd) {
  const std::vector<std::pair<std::string, std::string>> homes = {{"\x1b[1~", "\x1b[4~"},
                                                                  {"\x1b[7~", "\x1b[8~"},
                                                                  {"\x1b[H", "\x1b[F"},
                                                                  {"\x1bOH", "\x1bOF"},
                                                                  {"\x01", "\x05"}};
  for (const auto& [home, end] : homes) ExpectAnswer("+ 1" + home + "5 " + end + "0\r", "15");
  // Keys that mean nothing here: F1 to F12 of several terminals, pages, focus, answers, a mouse, titles.
  ExpectAnswer(
      "5 +\x1bOP\x1b[11~\x1b[[A\x1b[15~\x1b[24~\x1b[1;2P\x1b[5~\x1b[6;5~\x1b[2~ "
      "1\x1b[I\x1b[O\x1b[?62;c\x1b[<0;3;4M\x1b[M !!"
      "\x1b]11;rgb:0/0/0\x1b\\\x1b]0;title\x07\x1bP1$r0m\x1b\\\x1b[57400;5u\x1b[97;1:3u\x1b[Z0\r",
      "15");
  ExpectAnswer("5 + 10\x1b[1;5D\x1b[1;5D\r", "15");
  ExpectAnswer("+ 10\x1b[1;5D\x1b[1;3D\x1bOd5 \x1b[D \x08\r", "15");  // words and characters to the left
  ExpectAnswer("75 + 10\x1b[H\x1b[3~\r", "15");                       // Delete
  ExpectAnswer("\x1b[3~5 + 10\r", "15");                        // Delete in an empty line does not leave
  ExpectAnswer("\x1b[53u +\x1b[32u1\x1b[48;1u\x1b[13u", "15");  // the kitty protocol
  ExpectAnswer("5 + 10 7\x1b[27;5;119~\r", "15");               // Ctrl-W of modifyOtherKeys
  ExpectAnswer("5 + 10\x00\r"s, "15");
}

TEST(Chat, APastedTextIsOneMessage) {
  ExpectAnswer("\x1b[200~Translate to French:\r\rturn off the garden lamp\x1b[201~\r",
               "éteins la lampe dans le jardin");
  ExpectAnswer("\x1b[200~Translate to French:\r\n\r\nturn off the garden lamp\r\n\x1b[201~\r",
               "éteins la lampe dans le jardin");
  ExpectAnswer("Translate to French:\x1b[13;2u\x1b\rturn off the garden lamp\r",
               "éteins la lampe dans le jardin");
}

// A pipe whose other end does nothing: the first Ctrl-C ends the wait, the chat goes on.
TEST(Chat, CtrlCEndsTheWaitForAPipe) {
  const std::string fifo = Folder("pipes") + "/pipe";
  std::filesystem::remove(fifo);
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  Terminal chat({"run", "-q", "--temperature", "0"});
  for (const std::string& line : {"/image " + fifo, "/audio " + fifo, "/video " + fifo, "look at @" + fifo}) {
    ASSERT_TRUE(chat.Expect("> ") && chat.ExpectEditor());
    chat.Type(line + "\r");
    int writer = -1;  // once the chat has opened it
    for (int i = 0; i < 2000 && writer < 0; ++i, usleep(5000))
      writer = open(fifo.c_str(), O_WRONLY | O_NONBLOCK);
    ASSERT_GE(writer, 0) << line;
    chat.Type("\x03");
    EXPECT_TRUE(chat.Expect("reading was stopped")) << line << chat.screen();
    close(writer);
  }
  // What does come is read once.
  ASSERT_TRUE(chat.Expect("> ") && chat.ExpectEditor());
  chat.Type("what is in the picture @" + fifo + "\r");
  std::thread writer([&] { WriteFile(fifo, ReadFile(InSource("models/chick/examples/see-006.png"))); });
  EXPECT_TRUE(chat.Expect("a purple star and a yellow triangle")) << chat.screen();
  writer.join();
  ASSERT_TRUE(chat.Expect("> ") && chat.ExpectEditor());
  chat.Type("/quit\r");
  EXPECT_EQ(chat.Wait(), 0);
}

// The end of a paste, or of an answer of the terminal, may never come: Ctrl-C drops the line at once.
TEST(Chat, CtrlCEndsWhatTheTerminalLeftOpen) {
  for (const char* open : {"\x1b[200~half a paste", "\x1b]0;half a title", "\x1b[M"}) {
    Terminal chat({"run", "-q", "--temperature", "0"});
    ASSERT_TRUE(chat.Expect("> ") && chat.ExpectEditor());
    chat.Type(open);
    chat.Type("\x03");
    const auto start = std::chrono::steady_clock::now();
    EXPECT_TRUE(chat.Expect("^C")) << chat.screen();
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(1900)) << open;
    ASSERT_TRUE(chat.Expect("> ") && chat.ExpectEditor());
    chat.Type("5 + 10\r");
    EXPECT_TRUE(chat.Expect("\n15\r\n")) << chat.screen();
    ASSERT_TRUE(chat.Expect("> ") && chat.ExpectEditor());
    chat.Type("/quit\r");
    EXPECT_EQ(chat.Wait(), 0);
  }
  ExpectAnswer(
      "\x1b[200~5 + \x03"
      "10\x1b[201~\r",
      "15");  // inside a whole one it is left out
}

TEST(Chat, TabsStay) {
  Terminal chat({"run", "-q", "--temperature", "0"});
  ASSERT_TRUE(chat.Expect("> ") && chat.ExpectEditor());
  chat.Type("5 +\t10\r");
  const std::string answer = RunLinnet({"run", "-q", "--temperature", "0", "-p", "5 +\t10"}).output;
  EXPECT_TRUE(chat.Expect("\n" + answer.substr(0, answer.size() - 1) + "\r\n")) << chat.screen();
  ASSERT_TRUE(chat.Expect("> ") && chat.ExpectEditor());
  chat.Type("\x1b[200~5 +\t10\x1b[201~\r");
  EXPECT_TRUE(chat.Expect("\n")) << chat.screen();
  chat.Type("/quit\r");
  EXPECT_EQ(chat.Wait(), 0);
}

TEST(Chat, CommandsSayWhatTheyWant) {
  Terminal chat({"run", "-q"});
  ASSERT_TRUE(chat.Expect("> ") && chat.ExpectEditor());
  for (const char* name : {"image", "audio", "video"}) {
    chat.Type("/" + std::string(name) + "  \r");
    EXPECT_TRUE(chat.Expect("/" + std::string(name) + " wants a FILE")) << chat.screen();
  }
  chat.Type("/result\r");
  EXPECT_TRUE(chat.Expect("/result wants a TEXT")) << chat.screen();
  chat.Type("/reset now\r");
  EXPECT_TRUE(chat.Expect("/reset takes nothing")) << chat.screen();
  chat.Type("/think on\r/think on\r");
  EXPECT_TRUE(chat.Expect("thinking is on") && chat.Expect("thinking is on")) << chat.screen();
  chat.Type("/think maybe\r");
  EXPECT_TRUE(chat.Expect("on or off")) << chat.screen();
  chat.Type("/system\r");
  EXPECT_TRUE(chat.Expect("without a system message")) << chat.screen();
  chat.Type("/quit\r");
  EXPECT_EQ(chat.Wait(), 0);
}

// The terminal is as before however the chat ends.
TEST(Chat, TheTerminalIsRestored) {
  for (const int number : {0, SIGTERM, SIGHUP}) {
    Terminal chat({"run", "-q"});
    const std::string before = chat.Modes();
    ASSERT_TRUE(chat.Expect("\x1b[?2004h"));
    ASSERT_TRUE(chat.Expect("> ") && chat.ExpectEditor());
    if (number == 0) {
      chat.Type("/quit\r");
    } else {
      chat.Signal(number);
    }
    EXPECT_EQ(chat.Wait(), number == 0 ? 0 : 128 + number);
    EXPECT_EQ(chat.Modes(), before);
    EXPECT_TRUE(chat.screen().ends_with("\x1b[?2004l")) << chat.screen();
  }
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
