#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "runtime/chat_history.h"
#include "runtime/session_file_testing.h"
#include "text/tokenizer.h"

namespace linnet {
namespace {

using testing::SessionFiles;

class SessionFileTest : public SessionFiles {};
class SessionFileKv : public SessionFiles, public ::testing::WithParamInterface<KvType> {};

std::string LongText(int sentences) {
  std::string text;
  for (int i = 0; i < sentences; ++i) text += "turn on the kitchen light " + std::to_string(i) + " ";
  return text;
}

TEST_P(SessionFileKv, GoesOnBitForBitAndReadsOnlyWhatIsNew) {
  const SessionOptions options = Options(GetParam());
  Conversation live = Begin(options, {"You are terse.", "", false});
  std::optional<Conversation> restored;
  GenerateOptions sampled;
  sampled.sampling = {.temperature = 1.0f, .repetition_penalty = 1.3f, .seed = 7};
  sampled.max_tokens = 20;
  const std::vector<UserMessage> messages = {Picture("what is in the picture"),
                                             {LongText(45), {}, {}},
                                             Sound("Transcribe the audio."),
                                             {"6 + 1", {}, {}}};
  for (const UserMessage& message : messages) {
    const Generation expected = Ask(live, message, sampled);
    if (restored) {
      const Generation answer = Ask(*restored, message, sampled);
      EXPECT_EQ(answer.ids, expected.ids);
      EXPECT_EQ(answer.stats.prompt_tokens, expected.stats.prompt_tokens);
      SaveTo(File("s"), *restored);
    } else {
      SaveTo(File("s"), live);
    }
    restored.reset();
    restored.emplace(LoadFrom(File("s"), options));
    EXPECT_GT(restored->length(), live.length() - 40);
    ExpectSameBits(live, *restored);
  }
  EXPECT_GT(live.length(), 2 * kPagePositions) << "this should fill pages";
}

std::string KvName(const ::testing::TestParamInfo<KvType>& info) { return std::string(NameOf(info.param)); }
INSTANTIATE_TEST_SUITE_P(All, SessionFileKv, ::testing::Values(KvType::kF32, KvType::kBf16, KvType::kInt8),
                         KvName);

// Makes the model write what was recorded: each token is the only one that may follow.
class Recorded : public TokenMask {
 public:
  Recorded(std::vector<int32_t> ids, int64_t vocabulary)
      : ids_(std::move(ids)), words_(static_cast<size_t>(vocabulary + 31) / 32) {}
  AllowedWords Allowed() override {
    std::ranges::fill(words_, 0);
    const size_t id = static_cast<size_t>(ids_[std::min(at_, ids_.size() - 1)]);
    words_[id / 32] = 1u << id % 32;
    return words_;
  }
  void Advance(int32_t) override { ++at_; }
  void RollBack(int64_t tokens) override { at_ -= static_cast<size_t>(tokens); }

 private:
  std::vector<int32_t> ids_;
  std::vector<uint32_t> words_;
  size_t at_ = 0;
};

// An agent that calls a tool twenty times: between any two turns its program ends, while the other's never
// does.
TEST_F(SessionFileTest, AnAgentGoesOnAfterEachRestartReadingOnlyTheNewTokens) {
  const Tokenizer& tokenizer = *engine_->impl().tokenizer;
  Conversation live = Begin();
  std::vector<int32_t> call = Ask(live, {"Use a tool. call tom", {}, {}}).ids;
  ASSERT_TRUE(live.AwaitsToolResult());
  call.push_back(*tokenizer.TokenId("<|tool_response>"));
  SaveTo(File("s"), live);
  for (int turn = 0; turn < 20; ++turn) {
    Conversation restored = LoadFrom(File("s"));
    const std::string result = "answer number " + std::to_string(turn) + " " + LongText(turn % 3);
    const int64_t added = static_cast<int64_t>(tokenizer.EncodeOrdinary(result).size());
    std::vector<Generation> answers;
    for (Conversation* c : {&live, &restored}) {
      Recorded recorded(call, engine_->facts().vocabulary);
      c->AddToolResult(result);
      auto answer = c->Answer({.mask = &recorded});
      ASSERT_TRUE(answer.has_value()) << answer.error().Message();
      answers.push_back(std::move(*answer));
    }
    EXPECT_EQ(answers[1].ids, answers[0].ids);
    EXPECT_EQ(answers[1].stats.prompt_tokens, answers[0].stats.prompt_tokens);
    // The first call was not recorded: its turn is rendered anew.
    const int64_t markers = turn == 0 ? 40 : 20;
    EXPECT_LT(answers[1].stats.prompt_tokens, added + markers)
        << "more than the result and its markers was read";
    ASSERT_TRUE(restored.AwaitsToolResult());
    SaveTo(File("s"), restored);
    Conversation again = LoadFrom(File("s"));
    ExpectSameBits(live, again);
  }
  EXPECT_GT(live.length(), 2 * kPagePositions);
}

TEST_F(SessionFileTest, AThoughtThatDoesNotStayIsReadOnFromWhereItBegan) {
  Conversation live = Begin(Options(), {"", "", true});
  const GenerateOptions few{.max_tokens = 40};
  Ask(live, {LongText(40), {}, {}}, few);
  Ask(live, {"6 + 1", {}, {}}, few);
  SaveTo(File("s"), live);
  Conversation restored = LoadFrom(File("s"));
  EXPECT_TRUE(restored.thinking());
  const Generation expected = Ask(live, {"7 + 2", {}, {}}, few),
                   answer = Ask(restored, {"7 + 2", {}, {}}, few);
  EXPECT_EQ(answer.ids, expected.ids);
  EXPECT_EQ(answer.stats.prompt_tokens, expected.stats.prompt_tokens);
}

TEST_F(SessionFileTest, ATurnAddsWhatItIsAndReplacesOneWindow) {
  Conversation conversation = Begin();
  SessionFile file = OpenFile(File("s"));
  GenerateOptions few;
  few.max_tokens = 12;
  SessionIndex before;
  uint64_t window = 0;
  for (int turn = 0; turn < 14; ++turn) {
    Ask(conversation, {LongText(4), {}, {}}, few);
    ASSERT_TRUE(file.Save(conversation));
    auto container = SessionContainer::Open(File("s"), LockedFile::Use::kRead);
    EXPECT_FALSE(container.has_value()) << "it is open for writing";
    const std::string bytes = ReadBytes(File("s"));
    EXPECT_EQ(bytes.size(), file.facts().bytes);
    // What a page holds that was full stays where it is.
    const std::filesystem::path copy = File("copy");
    WriteBytes(copy, bytes);
    const SessionIndex now = IndexOfFile(copy);
    const size_t full = before.held.size() / kPagePositions;
    for (size_t p = 0; p < full; ++p) EXPECT_EQ(now.pages[p], before.pages[p]);
    uint64_t live = 0;
    for (const Extent& extent : now.Extents()) live += extent.bytes;
    ASSERT_EQ(now.rings.size(), 1u);
    window = std::max(window, now.rings[0].bytes);
    const uint64_t index = EncodeIndex(now)->size(), slack = uint64_t{4096} * (now.Extents().size() + 4);
    // Beside what there is, holes where what was replaced lay: the window, the last page, the index.
    EXPECT_LE(bytes.size(), live + index + 2 * (window + now.pages[0].bytes + index) + slack) << turn;
    struct stat info{};
    ASSERT_EQ(::stat(File("s").c_str(), &info), 0);
    EXPECT_LE(static_cast<uint64_t>(info.st_blocks) * 512, live + index + slack)
        << "the old places take room";
    before = now;
  }
  EXPECT_GE(before.held.size(), static_cast<size_t>(2 * kPagePositions));
}

TEST_F(SessionFileTest, WhatHasNotChangedIsNotWritten) {
  Conversation conversation = Begin();
  Ask(conversation, Picture("what is in the picture"));
  SessionFile file = OpenFile(File("s"));
  ASSERT_TRUE(file.Save(conversation));
  const std::string before = ReadBytes(File("s"));
  ASSERT_TRUE(file.Save(conversation));
  EXPECT_EQ(ReadBytes(File("s")), before);
}

TEST_F(SessionFileTest, AnotherPictureOfTheSameSizeIsAnotherConversation) {
  Conversation first = Begin(), second = Begin();
  const GenerateOptions few{.max_tokens = 40};
  Ask(first, {LongText(40), {}, {}}, few);
  Ask(second, {LongText(40), {}, {}}, few);
  Ask(first, Picture("what color is the circle", "see-018.png"), few);
  Ask(second, Picture("what color is the circle", "see-030.png"), few);
  Ask(first, {LongText(30), {}, {}}, few);
  Ask(second, {LongText(30), {}, {}}, few);
  SessionFile file = OpenFile(File("s"));
  ASSERT_TRUE(file.Save(first));
  ASSERT_TRUE(file.Save(second));
  ASSERT_EQ(file.facts().media.size(), 1u);
  auto restored = file.Load(*engine_, Options());
  ASSERT_TRUE(restored.has_value()) << restored.error().Message();
  ExpectSameBits(second, *restored);
}

TEST_F(SessionFileTest, WhatIsTakenBackIsGone) {
  Conversation conversation = Begin();
  Ask(conversation, {"6 + 1", {}, {}});
  SessionFile file = OpenFile(File("s"));
  ASSERT_TRUE(file.Save(conversation));
  const uint64_t before = file.facts().bytes;
  Ask(conversation, Picture("the secret garden"));
  ASSERT_TRUE(file.Save(conversation));
  EXPECT_NE(ReadBytes(File("s")).find("the secret garden"), std::string::npos);
  conversation.Reset();
  Ask(conversation, {"6 + 1", {}, {}});
  ASSERT_TRUE(file.Save(conversation));
  EXPECT_EQ(ReadBytes(File("s")).find("the secret garden"), std::string::npos);
  EXPECT_TRUE(file.facts().media.empty());
  EXPECT_LE(file.facts().bytes, 3 * before);
}

TEST_F(SessionFileTest, AFileAppearsWithTheFirstSaveAndIsItsOwnersAlone) {
  {
    SessionFile file = OpenFile(File("s"));
    EXPECT_TRUE(file.empty());
    EXPECT_FALSE(std::filesystem::exists(File("s")));
    EXPECT_FALSE(SessionFile::Open(File("s")).has_value()) << "somebody else begins it";
  }
  EXPECT_FALSE(std::filesystem::exists(File("s.linnet-new")));
  Conversation conversation = Begin();
  Ask(conversation, {"6 + 1", {}, {}});
  SaveTo(File("s"), conversation);
  struct stat info{};
  ASSERT_EQ(::stat(File("s").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0600u);
  EXPECT_FALSE(std::filesystem::exists(File("s.linnet-new")));
  ASSERT_EQ(::chmod(File("s").c_str(), 0644), 0);
  OpenFile(File("s"));
  ASSERT_EQ(::stat(File("s").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0600u);
}

TEST_F(SessionFileTest, OneProgramAtATime) {
  Conversation conversation = Begin();
  Ask(conversation, {"6 + 1", {}, {}});
  SaveTo(File("s"), conversation);
  {
    const SessionFile file = OpenFile(File("s"));
    for (const auto& other : {SessionFile::Open(File("s")), SessionFile::Read(File("s"))}) {
      ASSERT_FALSE(other.has_value());
      EXPECT_EQ(other.error().code, ErrorCode::kInvalidArgument);
      EXPECT_NE(other.error().what.find("in use"), std::string::npos);
    }
  }
  const auto a = SessionFile::Read(File("s")), b = SessionFile::Read(File("s"));
  EXPECT_TRUE(a.has_value() && b.has_value());
  EXPECT_FALSE(SessionFile::Open(File("s")).has_value());
}

TEST_F(SessionFileTest, AnotherModelOrOtherOptionsAreRefused) {
  Conversation conversation = Begin();
  Ask(conversation, Picture("what is in the picture"));
  SaveTo(File("s"), conversation);
  EXPECT_NE(Refusal(File("s"), Options(KvType::kF32)).find("bf16"), std::string::npos);
  SessionOptions rule = Options(), small = Options();
  rule.mask_rule = MaskRule::kB;
  small.context = 20;
  EXPECT_NE(Refusal(File("s"), rule).find("mask rule"), std::string::npos);
  EXPECT_NE(Refusal(File("s"), small).find("longer --context"), std::string::npos);
  ModelFingerprint& loaded = engine_->impl().fingerprint;
  const ModelFingerprint own = loaded;
  loaded.text[3] = loaded.text[3] == 'a' ? 'b' : 'a';
  EXPECT_NE(Refusal(File("s")).find("another model"), std::string::npos);
  loaded = own;
  loaded.multimodal = "another";
  EXPECT_NE(Refusal(File("s")).find("--mmproj"), std::string::npos);
  loaded = own;
  EXPECT_EQ(Refusal(File("s")), "");
  SessionOptions longer = Options();
  longer.context = 3000;
  EXPECT_EQ(LoadFrom(File("s"), longer).context(), 3000);
  SessionOptions as_it_was = Options();
  as_it_was.context = 0;
  EXPECT_EQ(LoadFrom(File("s"), as_it_was).context(), 2048);
}

TEST_F(SessionFileTest, AnotherMultimodalFileMattersToMediaOnly) {
  Conversation conversation = Begin();
  Ask(conversation, {"6 + 1", {}, {}});
  SaveTo(File("s"), conversation);
  engine_->impl().fingerprint.multimodal = "another";
  EXPECT_EQ(Refusal(File("s")), "");
  engine_->impl().fingerprint.multimodal.clear();
}

TEST_F(SessionFileTest, WhatIsNoSessionIsNamed) {
  WriteBytes(File("text"), "a text that is long enough " + std::string(5000, 'x'));
  WriteBytes(File("short"), "a text");
  WriteBytes(File("empty"), "");
  std::filesystem::create_directory(File("directory"));
  EXPECT_NE(Refusal(File("text")).find("no session"), std::string::npos);
  EXPECT_NE(Refusal(File("short")).find("no session"), std::string::npos);
  EXPECT_NE(Refusal(File("empty")).find("is empty"), std::string::npos);
  EXPECT_NE(Refusal(File("directory")), "");
  EXPECT_NE(Refusal(File("nowhere/s")).find("cannot be made"), std::string::npos);
  EXPECT_EQ(SessionFile::Read(File("nothing")).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(ReadBytes(File("short")), "a text");
}

TEST_F(SessionFileTest, WhatIsNoSessionKeepsItsMode) {
  WriteBytes(File("script"), "#!/bin/sh\n" + std::string(5000, '#'));
  ASSERT_EQ(::chmod(File("script").c_str(), 0755), 0);
  EXPECT_NE(Refusal(File("script")).find("no session"), std::string::npos);
  struct stat info{};
  ASSERT_EQ(::stat(File("script").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0755u);
}

TEST_F(SessionFileTest, ExportsAllThatWasSaid) {
  Conversation conversation = Begin(Options(), {"You are terse.", "", false});
  conversation.AddUser({"Use a tool. call tom", {}, {}});
  Generation call;
  call.tool_calls.push_back({"phone", R"({"name": "tom"})"});
  HistoryOf(conversation).AddAnswer(call);
  ASSERT_TRUE(conversation.AwaitsToolResult());
  conversation.AddToolResult("```\nbusy\n```");
  ASSERT_TRUE(conversation.Answer({.max_tokens = 8}));
  Ask(conversation, Picture("what is in the picture"), {.max_tokens = 8});
  SaveTo(File("s"), conversation);
  const SessionFile file = OpenFile(File("s"));
  const auto json = nlohmann::json::parse(*file.Export(SessionFormat::kJson));
  ASSERT_EQ(json["messages"].size(), 7u);
  EXPECT_EQ(json["messages"][0]["content"], "You are terse.");
  EXPECT_EQ(json["messages"][5]["content"][0]["sha256"], file.facts().media[0].sha256);
  EXPECT_EQ(json["messages"][5]["content"][1]["text"], "what is in the picture");
  EXPECT_EQ(json["messages"][2]["tool_calls"][0]["function"]["arguments"]["name"], "tom");
  const std::string text = *file.Export(SessionFormat::kMarkdown);
  EXPECT_NE(text.find("## User\n\n*[image, "), std::string::npos);
  EXPECT_NE(text.find("**calls phone**"), std::string::npos);
  EXPECT_NE(text.find("## Tool result: phone\n\n````\n```\nbusy\n```\n````"), std::string::npos) << text;
}

TEST_F(SessionFileTest, ATextThatIsNoUtf8IsRefusedAndTheFileStays) {
  Conversation conversation = Begin();
  Ask(conversation, {"6 + 1", {}, {}});
  SessionFile file = OpenFile(File("s"));
  ASSERT_TRUE(file.Save(conversation));
  Ask(conversation, {"a\xff", {}, {}});
  const Status refused = file.Save(conversation);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().what.find("UTF-8"), std::string::npos);
  EXPECT_EQ(file.facts().messages, 2);
  EXPECT_TRUE(file.Check());
  EXPECT_EQ(file.Load(*engine_, Options())->length(), file.facts().tokens);
}

}  // namespace
}  // namespace linnet
