// What is asked of an engine is used or refused.
#include "linnet/engine.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "linnet/session.h"
#include "model/model_files.h"

namespace linnet {
namespace {

namespace fs = std::filesystem;

const std::string kModelFolder = std::string(LINNET_SOURCE_DIR) + "/tests/data/golden/model/";

ErrorCode CodeOf(const LoadOptions& options) {
  const auto engine = Engine::Load(options);
  EXPECT_FALSE(engine.has_value());
  return engine ? ErrorCode::kInternal : engine.error().code;
}

TEST(Engine, RefusesNumbersOfThreadsThatCannotBe) {
  for (const int threads : {-3, -1, kMaxThreads + 1, 1'000'000}) {
    LoadOptions options;
    options.threads = threads;
    EXPECT_EQ(CodeOf(options), ErrorCode::kInvalidArgument) << threads;
  }
}

TEST(Engine, RefusesPartsThatHaveNoPlace) {
  LoadOptions options;
  options.mmproj = "mmproj.gguf";
  EXPECT_EQ(CodeOf(options), ErrorCode::kInvalidArgument);
  options.model = kModelFolder + "target";
  EXPECT_EQ(CodeOf(options), ErrorCode::kInvalidArgument);
  options.mmproj.clear();
  options.drafter = kModelFolder + "assistant";
  options.use_drafter = false;
  EXPECT_EQ(CodeOf(options), ErrorCode::kInvalidArgument);
  options.model.clear();
  options.use_drafter = true;
  EXPECT_EQ(CodeOf(options), ErrorCode::kInvalidArgument);
}

TEST(Engine, LooksForNoDrafterThatIsNotWanted) {
  const fs::path root = fs::temp_directory_path() / ("linnet_engine_" + std::to_string(getpid()));
  fs::create_directories(root);
  fs::create_directory_symlink(kModelFolder + "target", root / "model");
  fs::create_directory_symlink(kModelFolder + "assistant", root / "model-assistant");
  const auto with = OpenModel((root / "model").string(), "", "");
  const auto without = OpenModel((root / "model").string(), "", "", false);
  fs::remove_all(root);
  ASSERT_TRUE(with && without);
  EXPECT_NE(with->drafter, nullptr);
  EXPECT_EQ(without->drafter, nullptr);
  EXPECT_EQ(without->drafter_path, "");
}

TEST(Engine, RefusesAContextBelowZero) {
  const auto engine = Engine::Load({});
  ASSERT_TRUE(engine.has_value());
  SessionOptions options;
  options.context = -1;
  const auto session = (*engine)->NewSession(options);
  ASSERT_FALSE(session.has_value());
  EXPECT_EQ(session.error().code, ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace linnet
