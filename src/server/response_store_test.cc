#include "server/response_store.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>

#include "base/directory_testing.h"

namespace linnet {
namespace {

class ResponseStoreFileTest : public DirectoryTest {};

TEST(ResponseStore, BelongsToItsKey) {
  auto store = ResponseStore::Open("");
  ASSERT_TRUE(store.has_value()) << store.error().Message();
  ASSERT_TRUE((*store)->Put("resp_1", "anna", {"", "[1]", R"({"id":"resp_1"})"}));
  ASSERT_TRUE((*store)->Put("resp_2", "anna", {"resp_1", "[2]", "{}"}));
  const auto found = (*store)->Get("resp_2", "anna");
  ASSERT_TRUE(found.has_value()) << found.error().Message();
  EXPECT_EQ(found->previous, "resp_1");
  EXPECT_EQ(found->input, "[2]");
  EXPECT_EQ((*store)->Get("resp_1", "bert").error().code, ErrorCode::kNotFound);
  EXPECT_EQ((*store)->Delete("resp_1", "bert").error().code, ErrorCode::kNotFound);
  EXPECT_TRUE((*store)->Delete("resp_1", "anna"));
  EXPECT_EQ((*store)->Get("resp_1", "anna").error().code, ErrorCode::kNotFound);
  EXPECT_TRUE((*store)->Get("resp_2", "anna").has_value());
  EXPECT_EQ((*store)->Get("' OR 1=1 --", "anna").error().code, ErrorCode::kNotFound);
}

TEST(ResponseStore, TheOldestGoWhereThereIsNoRoom) {
  auto store = ResponseStore::Open("", {.in_memory = 100, .in_file = 100});
  ASSERT_TRUE(store.has_value());
  const std::string text(40, 'x');
  for (const char* id : {"a", "b", "c"}) ASSERT_TRUE((*store)->Put(id, "o", {"", text, ""}));
  EXPECT_FALSE((*store)->Get("a", "o").has_value());
  EXPECT_TRUE((*store)->Get("b", "o").has_value());
  EXPECT_TRUE((*store)->Get("c", "o").has_value());
  EXPECT_EQ((*store)->Put("d", "o", {"", std::string(101, 'x'), ""}).error().code,
            ErrorCode::kInvalidArgument);
  EXPECT_TRUE((*store)->Get("b", "o").has_value()) << "nothing goes for one that does not fit at all";
  ASSERT_TRUE((*store)->Delete("b", "o"));
  ASSERT_TRUE((*store)->Put("e", "o", {"", text, ""}));
  EXPECT_TRUE((*store)->Get("c", "o").has_value()) << "what was deleted left room";
}

TEST_F(ResponseStoreFileTest, StaysInItsFile) {
  const std::string path = File("responses.db");
  {
    auto store = ResponseStore::Open(path);
    ASSERT_TRUE(store.has_value()) << store.error().Message();
    ASSERT_TRUE((*store)->Put("resp_1", "o", {"", "[]", "\"ä\""}));
    const auto second = ResponseStore::Open(path);
    ASSERT_FALSE(second.has_value());
    EXPECT_NE(second.error().what.find("another server uses it"), std::string::npos) << second.error().what;
  }
  struct stat facts = {};
  ASSERT_EQ(stat(path.c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777, 0600u);
  auto again = ResponseStore::Open(path);
  ASSERT_TRUE(again.has_value()) << again.error().Message();
  EXPECT_EQ((*again)->Get("resp_1", "o")->response, "\"ä\"");
}

TEST_F(ResponseStoreFileTest, RefusesWhatIsNoStore) {
  const std::string path = File("notes.txt");
  std::ofstream(path) << "This is no database, and it is long enough to be seen as something else.";
  const auto opened = ResponseStore::Open(path);
  ASSERT_FALSE(opened.has_value());
  EXPECT_EQ(opened.error().code, ErrorCode::kBadFile);
  EXPECT_EQ(ResponseStore::Open(File("nowhere/r.db")).error().code, ErrorCode::kBadFile);
}

// Writes one response after the other, and tells of each when it is stored, until it is killed.
void WriteUntilKilled(const std::string& path, int told) {
  auto store = ResponseStore::Open(path);
  for (int i = 0; store; ++i) {
    const std::string id = "resp_" + std::to_string(i), text(static_cast<size_t>(3000 + i), 'x');
    if (!(*store)->Put(id, "o", {"", text, text})) break;
    if (write(told, &i, sizeof i) != sizeof i) break;
  }
  _exit(1);
}

TEST_F(ResponseStoreFileTest, NothingIsHalfWrittenWhenItIsKilled) {
  for (int round = 0; round < 5; ++round) {
    const std::string path = File("r" + std::to_string(round));
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    const pid_t child = fork();
    if (child == 0) WriteUntilKilled(path, ends[1]);
    close(ends[1]);
    int last = -1;
    while (last < 3 + 7 * round)
      ASSERT_EQ(read(ends[0], &last, sizeof last), static_cast<ssize_t>(sizeof last));
    kill(child, SIGKILL);
    int status = 0;
    waitpid(child, &status, 0);
    for (int more = 0; read(ends[0], &more, sizeof more) == sizeof more;) last = more;
    close(ends[0]);
    auto store = ResponseStore::Open(path);
    ASSERT_TRUE(store.has_value()) << store.error().Message();
    for (int i = 0; i <= last; ++i) {
      const auto found = (*store)->Get("resp_" + std::to_string(i), "o");
      ASSERT_TRUE(found.has_value()) << i << " of " << last;
      EXPECT_EQ(found->input.size(), static_cast<size_t>(3000 + i));
      EXPECT_EQ(found->response, found->input);
    }
  }
}

}  // namespace
}  // namespace linnet
