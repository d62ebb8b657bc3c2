// Files of sessions that are cut or changed are refused, and a save that is ended at any moment leaves one
// version or the next.
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <iterator>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "runtime/chat_history.h"
#include "runtime/checksum.h"
#include "runtime/session_file.h"
#include "runtime/session_file_testing.h"

namespace linnet {
namespace {

using testing::SessionFiles;

class SessionDamage : public SessionFiles {
 protected:
  static SessionOptions Small() {
    SessionOptions options = Options();
    options.context = 512;
    return options;
  }

  // Several saves, so that there are gaps; full pages, a picture, a sound.
  std::string SomeFile() {
    Conversation conversation = Begin(Small());
    SessionFile file = OpenFile(File("s"));
    Ask(conversation, Picture("what is in the picture"));
    EXPECT_TRUE(file.Save(conversation));
    Ask(conversation, Sound("Transcribe the audio."));
    EXPECT_TRUE(file.Save(conversation));
    Ask(conversation, {"6 + 1", {}, {}});
    EXPECT_TRUE(file.Save(conversation));
    return File("s");
  }

  static void Flip(const std::string& path, uint64_t at, int bit) {
    const int fd = ::open(path.c_str(), O_RDWR);
    unsigned char byte = 0;
    ASSERT_EQ(::pread(fd, &byte, 1, static_cast<off_t>(at)), 1);
    byte = static_cast<unsigned char>(byte ^ (1u << bit));
    ASSERT_EQ(::pwrite(fd, &byte, 1, static_cast<off_t>(at)), 1);
    ::close(fd);
  }

  void ExpectRefused(const std::string& path, const std::string& what) {
    const std::string why = Refusal(path, Small());
    EXPECT_NE(why, "") << what;
    EXPECT_NE(why.find(path), std::string::npos) << why;
    EXPECT_NE(why.find("; "), std::string::npos) << "says not what to do: " << why;
  }

  // A copy of a file whose index is another text, under a right checksum.
  std::string Forged(const std::string& path, const std::string& index) {
    const std::vector<Extent> extents = IndexOfFile(path).Extents();
    std::filesystem::copy_file(path, File("forged"), std::filesystem::copy_options::overwrite_existing);
    auto container = SessionContainer::Open(File("forged"), LockedFile::Use::kWrite);
    EXPECT_TRUE(container && container->SetExtents(extents) && container->BeginSave());
    EXPECT_TRUE(container->Commit(index, extents));
    return File("forged");
  }

  // Does with a file whatever can be done with it.
  void TryAll(const std::string& path) {
    auto file = SessionFile::Open(path);
    if (!file) return;
    (void)file->Check();
    (void)file->Export(SessionFormat::kJson);
    (void)file->Export(SessionFormat::kMarkdown);
    auto conversation = file->Load(*engine_, file->facts().options);
    if (!conversation) return;
    (void)conversation->Use({});
    for (int64_t turn = 1; turn <= conversation->turns(); ++turn) (void)conversation->Asked(turn);
    while (conversation->AwaitsToolResult()) conversation->AddToolResult("done");
    conversation->AddUser({"6 + 1", {}, {}});
    (void)conversation->Answer({.sampling = file->facts().sampling, .max_tokens = 2});
    (void)file->Save(*conversation);
  }

  std::mt19937_64 rng_{1};
};

TEST_F(SessionDamage, AFlippedBitAtEveryKindOfPlaceIsFound) {
  const std::string path = SomeFile();
  const SessionIndex index = IndexOfFile(path);
  std::vector<std::pair<std::string, uint64_t>> places;
  for (const uint64_t head : {0, 512}) {
    for (const uint64_t at : {0, 7, 8, 12, 16, 24, 32, 40, 48, 56, 300, 504, 511}) {
      places.emplace_back("head", head + at);
    }
  }
  places.emplace_back("behind the heads", 1024);
  places.emplace_back("behind the heads", 4095);
  for (const Extent& extent : index.Extents()) {
    places.emplace_back("extent", extent.at);
    places.emplace_back("extent", extent.at + extent.bytes - 1);
    if (extent.bytes % 4096 != 0) places.emplace_back("behind an extent", extent.at + extent.bytes);
  }
  places.emplace_back("the end", std::filesystem::file_size(path) - 1);
  for (const auto& [what, at] : places) {
    Flip(path, at, 3);
    ExpectRefused(path, what + " at " + std::to_string(at));
    Flip(path, at, 3);
  }
  EXPECT_EQ(Refusal(path, Small()), "");
}

TEST_F(SessionDamage, TwoThousandCutOrFlippedFilesAreRefused) {
  const std::string path = SomeFile(), whole = ReadBytes(path);
  for (int i = 0; i < 1500; ++i) {
    const uint64_t at = rng_() % (i % 5 == 0 ? 4096 : whole.size());
    const int bit = static_cast<int>(rng_() % 8);
    Flip(path, at, bit);
    ExpectRefused(path, "bit " + std::to_string(bit) + " of byte " + std::to_string(at));
    Flip(path, at, bit);
  }
  for (int i = 0; i < 500; ++i) {
    const uint64_t length = i < 20 ? static_cast<uint64_t>(i) * 60 : rng_() % whole.size();
    std::filesystem::resize_file(path, length);
    ExpectRefused(path, "cut to " + std::to_string(length));
    if (i % 50 == 0) ExpectRefused(path, "again");
    WriteBytes(path, whole);
  }
  WriteBytes(path, whole + "x");
  ExpectRefused(path, "something added");
  WriteBytes(path, whole);
  EXPECT_EQ(Refusal(path, Small()), "");
}

TEST_F(SessionDamage, AnotherVersionIsNamed) {
  const std::string path = SomeFile();
  for (const uint64_t head : {0, 512}) Flip(path, head + 8, 1);
  const auto file = SessionFile::Open(path);
  ASSERT_FALSE(file.has_value());
  EXPECT_EQ(file.error().code, ErrorCode::kUnsupported);
  EXPECT_NE(file.error().what.find("version"), std::string::npos);
}

// An index under a right checksum that says something impossible.
TEST_F(SessionDamage, AForgedIndexIsRefused) {
  const std::string path = SomeFile();
  const SessionIndex good = IndexOfFile(path);
  const auto refused_as = [&](const std::function<void(SessionIndex&)>& change) {
    SessionIndex forged = good;
    change(forged);
    EXPECT_NE(Refusal(Forged(path, *EncodeIndex(forged)), Small()), "");
  };
  refused_as([](SessionIndex& index) { index.held[5] = -1; });
  refused_as([](SessionIndex& index) { index.held[5] = 1 << 30; });
  refused_as([](SessionIndex& index) { index.held.pop_back(); });
  refused_as([](SessionIndex& index) { index.held.resize(600, 5); });
  refused_as([](SessionIndex& index) { index.pages.pop_back(); });
  refused_as([](SessionIndex& index) { index.pages[0].at = ~uint64_t{0} - 4095; });
  refused_as([](SessionIndex& index) { index.pages[0].bytes -= 64; });
  refused_as([](SessionIndex& index) { index.rings.clear(); });
  refused_as([](SessionIndex& index) { index.rings[0] = index.pages[0]; });
  refused_as([](SessionIndex& index) { index.messages[0].json["role"] = 5; });
  refused_as([](SessionIndex& index) { index.messages[0].json.erase("content"); });
  refused_as([](SessionIndex& index) { index.messages[0].media[0].shape["pixels"] = uint64_t{1} << 60; });
  refused_as([](SessionIndex& index) { index.messages[0].media[0].shape["pixels"] = 1; });
  refused_as([](SessionIndex& index) { index.messages[0].media[0].sha256[0] = 'x'; });
  refused_as([](SessionIndex& index) { index.messages[0].json["content"][0] = 5; });
  refused_as([](SessionIndex& index) { index.messages[0].json["content"][0].erase("type"); });
  refused_as([](SessionIndex& index) { index.messages[0].json["content"][1]["text"] = 5; });
  refused_as([](SessionIndex& index) { index.messages[0].json["summary"] = true; });
  refused_as([](SessionIndex& index) { index.setup.tools = "{"; });
}

// One value of the index is another, or missing: whatever is made of that, nothing crashes.
TEST_F(SessionDamage, AnyOtherValueInTheIndexDoesNoHarm) {
  using Json = nlohmann::ordered_json;
  Conversation conversation = Begin(Small(), {"You are terse.", "", false});
  Generation call;
  call.tool_calls.push_back({"phone", R"({"name": "tom"})"});
  conversation.AddUser({"call tom", {}, {}});
  HistoryOf(conversation).AddAnswer(call);
  conversation.AddToolResult("busy");
  Ask(conversation, Picture("what is in the picture"));
  SaveTo(File("s"), conversation);
  const Json good = Json::parse(*EncodeIndex(IndexOfFile(File("s"))));
  const std::vector<Json> values = {
      nullptr, true,   -1,     0,   1e300,         uint64_t{1} << 63, "",
      "text",  "tool", "user", "a", Json::array(), Json::object(),    Json::array({Json::array()})};
  for (int i = 0; i < 100; ++i) {
    Json forged = good;
    Json *place = &forged, *above = nullptr;
    size_t at = 0;
    while (place->is_structured() && !place->empty() && (above == nullptr || rng_() % 4 != 0)) {
      above = place;
      at = rng_() % place->size();
      place = &*std::next(place->begin(), static_cast<std::ptrdiff_t>(at));
    }
    if (rng_() % 4 != 0) {
      *place = values[rng_() % values.size()];
    } else {
      above->erase(std::next(above->begin(), static_cast<std::ptrdiff_t>(at)));
    }
    TryAll(Forged(File("s"), forged.dump()));
  }
}

TEST_F(SessionDamage, ToolsThatAreNestedWithoutEndAreNotWritten) {
  SessionIndex index = IndexOfFile(SomeFile());
  index.setup.tools = std::string(300'000, '[') + std::string(300'000, ']');
  EXPECT_NE(ExportJson(index).find(R"("tools": [])"), std::string::npos);
  TryAll(Forged(File("s"), *EncodeIndex(index)));
}

#ifndef __SANITIZE_THREAD__  // which does not like children of programs with threads

// A child saves two versions in turns and is killed at a random moment; there is always one of them.
TEST_F(SessionDamage, TwoHundredKillsWhileSavingLeaveAWholeVersion) {
  Conversation a = Begin(Small()), b = Begin(Small());
  Ask(a, Picture("what is in the picture"));
  Ask(b, Picture("what is in the picture"));
  SaveTo(File("s"), a);
  Ask(b, Picture("what color is the circle", "see-018.png"));
  Ask(b, {"6 + 1", {}, {}});
  const int64_t messages[2] = {2, 6};
  std::array<int, 2> seen = {0, 0};
  for (int i = 0; i < 200; ++i) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      auto file = SessionFile::Open(File("s"));
      while (file && file->Save(b) && file->Save(a)) {
      }
      ::_exit(1);
    }
    ::usleep(static_cast<useconds_t>(rng_() % 15000));
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status)) << "a save failed";
    if (i % 2 == 0) {
      const auto read = SessionFile::Read(File("s"));  // also before the rest is cleared
      ASSERT_TRUE(read.has_value()) << read.error().Message();
      ASSERT_TRUE(read->Check());
    }
    SessionFile file = OpenFile(File("s"));
    const bool second = file.facts().messages == messages[1];
    ++seen[second ? 1 : 0];
    ASSERT_EQ(file.facts().messages, messages[second ? 1 : 0]);
    auto restored = file.Load(*engine_, Small());
    ASSERT_TRUE(restored.has_value()) << restored.error().Message();
    if (i % 10 == 0) ExpectSameBits(second ? b : a, *restored);
  }
  SessionFile file = OpenFile(File("s"));
  EXPECT_TRUE(file.Save(b) && file.Check());
  EXPECT_GT(seen[0] + seen[1], 0);
}

// The limit of a file's size stands for a full disk.
TEST_F(SessionDamage, ADiskThatIsFullLeavesTheVersionBefore) {
  Conversation conversation = Begin(Small());
  Ask(conversation, {"6 + 1", {}, {}});
  SaveTo(File("s"), conversation);
  const uint64_t size = std::filesystem::file_size(File("s"));
  Ask(conversation, Picture("what is in the picture"));
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit = {size + 5000, size + 5000};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    auto file = SessionFile::Open(File("s"));
    const Status saved = file->Save(conversation);
    const bool told = !saved && saved.error().what.find("cannot be written") != std::string::npos;
    ::_exit(told && file->facts().messages == 2 && file->Check() ? 0 : 1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(std::filesystem::file_size(File("s")), size);
  EXPECT_EQ(Refusal(File("s"), Small()), "");
  SaveTo(File("s"), conversation);
  Conversation restored = LoadFrom(File("s"), Small());
  ExpectSameBits(conversation, restored);
}

#endif

}  // namespace
}  // namespace linnet
