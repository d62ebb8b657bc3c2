// A person who takes turns of a chat back, changes them, and lets its context fill up.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "program.h"
#include "terminal.h"

namespace linnet {
namespace {

void Ready(Terminal& chat) { ASSERT_TRUE(chat.Expect("> ") && chat.ExpectEditor()) << chat.screen(); }

// Types a line and waits for what is said, and for the next line.
void Enter(Terminal& chat, const std::string& line, const std::vector<std::string>& said) {
  chat.Type(line + "\r");
  for (const std::string& text : said) {
    ASSERT_TRUE(chat.Expect(text)) << "no \"" << text << "\" after " << line << "\n" << chat.screen();
  }
  Ready(chat);
}

// Says the same, at most so many times, until this is on the screen.
void FillUntil(Terminal& chat, const std::string& text, int most) {
  for (int i = 0; i < most && chat.screen().find(text) == std::string::npos; ++i) {
    chat.Type("turn on the kitchen light\r");
    Ready(chat);
  }
}

void Leave(Terminal& chat) {
  chat.Type("/quit\r");
  EXPECT_EQ(chat.Wait(), 0);
}

TEST(ChatTurns, AreTakenBackAndAskedAnew) {
  Terminal chat({"run", "--temperature", "0"});
  Ready(chat);
  Enter(chat, "/undo", {"nothing to take back"});
  Enter(chat, "/edit 1 6 + 1", {"there is no turn 1; nothing has been said yet"});
  Enter(chat, "6 + 1", {"\n7\r\n", "0 % of the prompt reused"});
  Enter(chat, "what is in the picture @" + InSource("models/chick/examples/see-006.png"),
        {"a purple star and a yellow triangle", "% of the prompt reused"});
  Enter(chat, "/context",
        {"tokens", "pictures", "turn 1", "\"6 + 1\"", "turn 2", "(1)", "all", "left", "of 4096"});
  Enter(chat, "/undo", {"turn 2 (\"what is in the picture\") is taken back; 1 turn is left"});
  Enter(chat, "/edit 7 5 + 10", {"there is no turn 7; the turns are 1 to 1"});
  Enter(chat, "/edit 5+10", {"/edit wants the number of a turn"});
  Enter(chat, "/edit", {"/edit wants a N"});
  Enter(chat, "/edit 1 5 + 10", {"turn 1 (\"6 + 1\") is asked anew", "\n15\r\n"});
  // The old text is in the line; of 5 + 10 the last two characters are changed.
  chat.Type("/edit 1\r");
  ASSERT_TRUE(chat.Expect("turn 1> ") && chat.ExpectEditor()) << chat.screen();
  Enter(chat,
        "\x7f\x7f"
        "2",
        {"turn 1 (\"5 + 10\") is asked anew", "\n7\r\n"});
  chat.Type("/edit 1\r");
  ASSERT_TRUE(chat.Expect("turn 1> ") && chat.ExpectEditor()) << chat.screen();
  chat.Type("\x03");
  ASSERT_TRUE(chat.Expect("turn 1 stays as it is")) << chat.screen();
  Ready(chat);
  // A file that is not there: nothing is asked, and all is as before.
  Enter(chat, "/edit 1 look at @nothing.png", {"is not there", "turn 1 (\"5 + 2\")", "as before"});
  Enter(chat, "/undo", {"turn 1 (\"5 + 2\") is taken back; nothing is left"});
  Leave(chat);
}

TEST(ChatTurns, MediaAndCallsThatWait) {
  Terminal chat({"run", "-q", "--temperature", "0"});
  Ready(chat);
  Enter(chat, "Use a tool. call tom", {"call phone(", "/result TEXT"});
  Enter(chat, "/image " + InSource("models/chick/examples/see-006.png"), {"goes with the next message"});
  Enter(chat, "/context", {"1 call", "next message"});
  Enter(chat, "/undo", {"is taken back with its tool call; nothing is left", "1 medium still waits"});
  Enter(chat, "/result no", {"no tool call waits"});
  Enter(chat, "what is in the picture", {"a purple star and a yellow triangle"});
  // The turn keeps its picture.
  Enter(chat, "/edit 1 what is in the picture", {"with its 1 medium", "a purple star"});
  Leave(chat);
}

TEST(ChatTurns, BranchesAreGoneBackTo) {
  Terminal chat({"run", "-q", "--temperature", "0"});
  Ready(chat);
  Enter(chat, "/branch 2", {"there is no branch 2; /fork makes one"});
  Enter(chat, "/fork 1", {"there is no turn 1"});
  Enter(chat, "6 + 1", {"\n7\r\n"});
  Enter(chat, "5 + 10", {});
  Enter(chat, "/fork 1", {"this is branch 2 now, with the first turn of branch 1; /branch 1 goes back"});
  Enter(chat, "3 + 4", {});
  Enter(chat, "/branch",
        {"  branch 1: 2 turns, the last is turn 2 (\"5 + 10\")",
         "* branch 2: 2 turns, the last is turn 2 (\"3 + 4\")"});
  Enter(chat, "/branch 1", {"branch 1: 2 turns, the last is turn 2 (\"5 + 10\")"});
  Enter(chat, "/undo", {"turn 2 (\"5 + 10\") is taken back"});
  Enter(chat, "/branch 2", {"branch 2: 2 turns"});
  Enter(chat, "/branch x", {"/branch takes the number"});
  Enter(chat, "/fork x", {"/fork takes the number"});
  Leave(chat);
}

TEST(ChatTurns, AreKeptInAFileToGoOnWith) {
  const std::string file = Folder("kept turns") + "/talk";
  {
    Terminal chat({"run", "-q", "--temperature", "0"});
    Ready(chat);
    Enter(chat, "6 + 1", {"\n7\r\n"});
    Enter(chat, "/save \"" + file + "\"", {"holds this conversation, 1 turn"});
    Enter(chat, "5 + 10", {});
    Enter(chat, "/load " + file, {"this is branch 2 now: 1 turn, the last is turn 1 (\"6 + 1\")"});
    Enter(chat, "3 + 4", {});
    Enter(chat, "/branch 1", {"branch 1: 2 turns, the last is turn 2 (\"5 + 10\")"});
    Enter(chat, "/save " + file, {"holds this conversation, 2 turns"});
    Enter(chat, "/load " + file + "-nowhere", {"talk-nowhere"});
    Enter(chat, "/branch", {"* branch 1: 2 turns", "branch 2: 2 turns"});
    Leave(chat);
  }
  Terminal other({"run", "-q", "--temperature", "0"});
  Ready(other);
  Enter(other, "3 + 4", {"\n7\r\n"});
  Enter(other, "/save " + file, {"holds another conversation, of 4 messages"});
  Enter(other, "/load " + file, {"2 turns, the last is turn 2 (\"5 + 10\")"});
  Leave(other);
  Terminal kept({"run", "-q", "--temperature", "0", "--session", file});
  Ready(kept);
  Enter(kept, "/undo", {"turn 2 (\"5 + 10\") is taken back; 1 turn is left"});
  Enter(kept, "/save " + file, {"keeps this chat anyway"});
  Enter(kept, "/load " + file, {"keeps this chat (--session) and would lose it"});
  Leave(kept);
}

TEST(ChatTurns, AFileHoldsOneBranchAndIsWrittenOverByNoOther) {
  const std::string folder = Folder("branches kept"), talk = folder + "/talk", session = folder + "/session";
  const std::vector<std::string> another = {"holds another conversation", "give another name"};
  {
    Terminal chat({"run", "-q", "--temperature", "0"});
    Ready(chat);
    Enter(chat, "6 + 1", {"\n7\r\n"});
    Enter(chat, "/save " + talk, {"holds this conversation, 1 turn"});
    Enter(chat, "/fork", {"this is branch 2 now"});
    Enter(chat, "/save " + talk, another);
    Enter(chat, "/branch 1", {});
    Enter(chat, "/undo", {"nothing is left"});
    Enter(chat, "6 + 1", {"\n7\r\n"});
    Enter(chat, "/save " + talk, {"holds this conversation, 1 turn"});
    Enter(chat, "/reset", {"the conversation begins anew\r\n"});
    Enter(chat, "/save " + talk, another);
    Leave(chat);
  }
  {
    Terminal chat({"run", "-q", "--temperature", "0"});
    Ready(chat);
    Enter(chat, "/load " + talk, {"this is branch 2 now: 1 turn"});
    Enter(chat, "5 + 10", {});
    Enter(chat, "/save " + talk, {"holds this conversation, 2 turns"});
    Enter(chat, "/branch 1", {});
    Enter(chat, "/save " + talk, another);
    Leave(chat);
  }
  Terminal chat({"run", "-q", "--temperature", "0", "--session", session});
  Ready(chat);
  Enter(chat, "6 + 1", {"\n7\r\n"});
  Enter(chat, "/fork",
        {"this is branch 2 now", session + " keeps the branch in which you leave", "/save FILE"});
  Enter(chat, "/reset", {"the conversation begins anew, also in " + session});
  Leave(chat);
}

TEST(ChatTurns, CommandsAreCompletedAndCorrected) {
  Terminal chat({"run", "-q", "--temperature", "0"});
  Ready(chat);
  Enter(chat, "/und\t", {"nothing to take back"});
  Enter(chat, "/cont\t", {"left"});
  Enter(chat, "/undu", {"did you mean /undo?"});
  Enter(chat, "/contxt", {"did you mean /context?"});
  Leave(chat);
}

TEST(FullContext, IsRefusedWithWhatToDo) {
  Terminal chat({"run", "-q", "--temperature", "0", "--context", "100"});
  Ready(chat);
  FillUntil(chat, "the context is full: ", 12);
  EXPECT_NE(chat.screen().find("the context is full: the conversation needs "), std::string::npos)
      << chat.screen();
  EXPECT_NE(chat.screen().find("--when-full shift"), std::string::npos) << chat.screen();
  EXPECT_NE(chat.screen().find("the message is taken back, and the conversation is as before"),
            std::string::npos)
      << chat.screen();
  Enter(chat, "/undo", {"is taken back"});
  Enter(chat, "/undo", {"is taken back"});
  Enter(chat, "6 + 1", {});
  Leave(chat);
}

TEST(FullContext, LetsTheOldestTurnsGo) {
  Terminal chat({"run", "-q", "--temperature", "0", "--context", "200", "--when-full", "shift"});
  Ready(chat);
  FillUntil(chat, "the context was full: ", 20);
  EXPECT_NE(chat.screen().find("the context was full: the "), std::string::npos) << chat.screen();
  std::string longest = "5 + 10";
  for (int i = 0; i < 60; ++i) longest += " turn on the kitchen light";
  Enter(chat, longest, {"the last turn alone needs", "taken back"});
  Enter(chat, "6 + 1", {});
  Enter(chat, "/context", {"of 200", "the oldest turns go"});
  Leave(chat);
}

TEST(FullContext, LeavesASummaryOrSaysWhyNot) {
  Terminal chat({"run", "-q", "--temperature", "0", "--context", "400", "--when-full", "summarise"});
  Ready(chat);
  FillUntil(chat, "the context was full: ", 30);
  const bool summary = chat.screen().find("a summary stays:") != std::string::npos;
  const bool none = chat.screen().find("without a summary: ") != std::string::npos;
  EXPECT_NE(summary, none) << chat.screen();
  Leave(chat);
}

TEST(FullContext, TheOptionIsForConversationsThatGoOn) {
  const ProgramResult once = RunLinnet({"run", "-p", "hello", "--when-full", "shift"});
  EXPECT_EQ(once.code, 2);
  EXPECT_NE(once.errors.find("--when-full"), std::string::npos) << once.errors;
  const ProgramResult unknown = RunLinnet({"run", "--when-full", "forget"});
  EXPECT_EQ(unknown.code, 2);
}

}  // namespace
}  // namespace linnet
