// Plans of the 12B's shape beside made-up limits. Nothing is loaded.
#include "runtime/memory_fit.h"

#include <algorithm>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "linnet/engine.h"
#include "model/file_format.h"
#include "quant/synthetic.h"

namespace linnet {
namespace {

constexpr uint64_t kGigabyte = 1'000'000'000;

// The shape in one format, with its drafter.
struct FitShape {
  explicit FitShape(const char* spec)
      : model(*MakeSynthetic(spec, true)), drafter(*MakeSyntheticDrafter(spec)) {}

  FitRequest Request(uint64_t available) const {
    FitRequest request;
    request.model = {.config = &model.config,
                     .text = model.source.get(),
                     .multimodal = model.source.get(),
                     .drafter_config = &drafter.config,
                     .drafter = drafter.source.get()};
    request.model.weights = WeightsOf(request.model, false);
    request.options.threads = 2;
    request.knobs.pictures = "--image-tokens N";
    request.knobs.conversations = "--together N";
    request.limits = {{MemoryLimit::Kind::kMachine, "a limit", available, available}};
    return request;
  }

  SyntheticModel model;
  SyntheticDrafter drafter;
};

const FitShape& Shape() {
  static const FitShape shape("12b:q4_0");
  return shape;
}

// Does what a remedy says; false where it says what is not known.
bool Apply(const std::string& change, FitRequest& request, OtherFormat& format) {
  std::istringstream words(change);
  for (std::string word, value; words >> word;) {
    if (word == "and") continue;
    if (word == "a") {  // "a q4_0 file of this model"
      words >> value;
      format = InFormat(request.model, *FileFormatOf(value));
      request.model = format.model;
      request.options.dequantise = false;
      words >> word >> word >> word >> word;
      continue;
    }
    if (!(words >> value)) return false;
    if (word == "--draft") {
      request.model.drafter = nullptr;
    } else if (word == "--kv") {
      request.options.session.kv = value == "int8" ? KvType::kInt8 : KvType::kBf16;
    } else if (word == "--context") {
      request.options.session.context = std::stoll(value);
    } else if (word == "--image-tokens") {
      request.options.picture_tokens = std::stoll(value);
    } else if (word == "--together") {
      request.options.sessions = std::stoll(value);
    } else {
      return false;
    }
  }
  return true;
}

TEST(MemoryFit, TheTightestLimitCounts) {
  FitRequest request = Shape().Request(16 * kGigabyte);
  request.limits.push_back({MemoryLimit::Kind::kControlGroup, "a group", 9 * kGigabyte, 9 * kGigabyte});
  request.limits.push_back({MemoryLimit::Kind::kAddressSpace, "ulimit", 20 * kGigabyte, 20 * kGigabyte});
  const auto fit = FitPlan(request);
  ASSERT_TRUE(fit);
  EXPECT_EQ(fit->tightest.name, "a group");
  EXPECT_EQ(fit->headroom, static_cast<int64_t>(9 * kGigabyte) - static_cast<int64_t>(fit->plan.total()));
  EXPECT_EQ(fit->context, kUsualContext);
}

TEST(MemoryFit, WhatIsHeldIsNotTakenAgain) {
  MemoryPlan plan;
  plan.lines = {{.name = "tokenizer", .bytes = 1, .held = true},
                {.name = "weights", .bytes = 20},
                {.name = "weights, in their file", .bytes = 300, .mapped = true}};
  plan.addresses = 4000;
  EXPECT_EQ(plan.total(), 321u);
  EXPECT_EQ(plan.Needed(MemoryLimit::Kind::kMachine), 320u);
  EXPECT_EQ(plan.Needed(MemoryLimit::Kind::kAddressSpace), 4020u) << "files are mapped already";
}

TEST(MemoryFit, FindsTheLargestContext) {
  for (const KvType kv : {KvType::kBf16, KvType::kInt8, KvType::kF32}) {
    FitRequest request = Shape().Request(10 * kGigabyte);
    request.options.session.kv = kv;
    const auto largest = LargestContext(request);
    ASSERT_TRUE(largest);
    ASSERT_GT(*largest, 2048);
    request.options.session.context = *largest;
    EXPECT_TRUE(FitPlan(request)->fits());
    if (*largest == 262144) continue;
    request.options.session.context += 256;
    EXPECT_FALSE(FitPlan(request)->fits());
  }
  EXPECT_EQ(*LargestContext(Shape().Request(2 * kGigabyte)), 0) << "not even the weights";
  EXPECT_EQ(*LargestContext(Shape().Request(200 * kGigabyte)), 262144);
}

TEST(MemoryFit, TheWholeContextFitsASmallLaptop) {
  for (const KvType kv : {KvType::kBf16, KvType::kInt8}) {
    FitRequest request = Shape().Request(14 * kGigabyte);
    request.options.session.kv = kv;
    request.options.picture_tokens = 1120;
    EXPECT_EQ(*LargestContext(request), 262144);
  }
}

TEST(MemoryFit, RemediesAreEnough) {
  struct Case {
    const char* spec;
    uint64_t available;
    int64_t context, sessions, picture;
  };
  const FitShape large("12b:bf16");
  for (const Case& c : {Case{"12b:q4_0", 8 * kGigabyte, 8192, 1, -1},
                        {"12b:q4_0", 9 * kGigabyte, 262144, 1, 1120},
                        {"12b:q4_0", 8 * kGigabyte + kGigabyte / 2, 65536, 1, 1120},
                        {"12b:q4_0", 10 * kGigabyte, 8192, 16, 280},
                        {"12b:bf16", 24 * kGigabyte, 8192, 1, -1},
                        {"12b:bf16", 16 * kGigabyte, 32768, 1, 560},
                        {"12b:bf16", 8 * kGigabyte, 32768, 1, 560}}) {
    FitRequest request = (std::string(c.spec) == "12b:bf16" ? large : Shape()).Request(c.available);
    request.options.session.context = c.context;
    request.options.sessions = c.sessions;
    request.options.picture_tokens = c.picture;
    const MemoryFit fit = *FitPlan(request);
    ASSERT_FALSE(fit.fits()) << c.spec << " " << c.available;
    const std::vector<MemoryRemedy> remedies = FindRemedies(request);
    ASSERT_GE(remedies.size(), 1u) << c.spec << " " << c.available;
    EXPECT_LE(remedies.size(), 3u);
    for (const MemoryRemedy& remedy : remedies) {
      FitRequest changed = request;
      OtherFormat format;
      ASSERT_TRUE(Apply(remedy.change, changed, format)) << remedy.change;
      const MemoryFit then = *FitPlan(changed);
      EXPECT_TRUE(then.fits()) << remedy.change;
      EXPECT_EQ(remedy.saves, fit.plan.total() - then.plan.total()) << remedy.change;
    }
  }
}

TEST(MemoryFit, WhatCannotFitHasNoRemedy) {
  EXPECT_TRUE(FindRemedies(Shape().Request(kGigabyte)).empty());
  FitRequest request = Shape().Request(kGigabyte);
  const auto refused = RequireFit(request, "a file", true, false);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kOutOfMemory);
  EXPECT_NE(refused.error().Message().find("weights 7.0"), std::string::npos) << refused.error().Message();
  EXPECT_NE(refused.error().Message().find("--over-plan"), std::string::npos);
}

TEST(MemoryFit, WhatNobodyAskedForGivesWay) {
  FitRequest request = Shape().Request(0);
  request.options.session.context = 4096;
  const uint64_t room = FitPlan(request)->plan.total();
  request = Shape().Request(room);
  const auto shorter = RequireFit(request, "a file", false, false);
  ASSERT_TRUE(shorter) << shorter.error().Message();
  EXPECT_EQ(shorter->context, 4096);
  ASSERT_EQ(shorter->notes.size(), 1u);
  EXPECT_NE(shorter->notes[0].find("4096 tokens, not the usual 8192"), std::string::npos)
      << shorter->notes[0];
  request.options.session.context = 8192;
  EXPECT_FALSE(RequireFit(request, "a file", false, false)) << "it was asked for";
  const auto over = RequireFit(request, "a file", false, true);
  ASSERT_TRUE(over);
  EXPECT_EQ(over->context, 8192);
  EXPECT_NE(over->notes.at(0).find("over the plan by"), std::string::npos);
  request.options.sessions = 4;
  request.limits[0].available = kGigabyte + room;
  const auto fewer = RequireFit(request, "a file", true, false);
  ASSERT_TRUE(fewer) << fewer.error().Message();
  EXPECT_LT(fewer->conversations, 4);
  EXPECT_GE(fewer->conversations, 1);
  EXPECT_FALSE(RequireFit(request, "a file", false, false)) << "they were asked for";
}

TEST(MemoryFit, KnowsEveryFormat) {
  for (const FileFormat& format : FileFormats()) {
    const std::string spec = "12b@6:" + std::string(format.name);
    const auto model = MakeSynthetic(spec, true);
    ASSERT_TRUE(model) << spec;
    const PlannedModel planned{
        .config = &model->config, .text = model->source.get(), .multimodal = model->source.get()};
    const OtherFormat other = InFormat(planned, format);
    EXPECT_EQ(other.model.weights->total(), WeightsOf(planned, false).total()) << "a format as itself";
  }
}

TEST(MemoryFit, IsToldToPrograms) {
  const auto fit = FitMemory({.threads = 2});
  ASSERT_TRUE(fit);
  EXPECT_TRUE(fit->fits());
  EXPECT_TRUE(fit->remedies.empty());
  EXPECT_EQ(fit->context, std::min<int64_t>(fit->largest_context, kUsualContext));
  LoadOptions load{.threads = 2};
  load.use = MemoryUse{.others = {{"a store", uint64_t{1} << 50}}};
  const auto refused = Engine::Load(load);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kOutOfMemory);
  EXPECT_NE(refused.error().Message().find("a store"), std::string::npos) << refused.error().Message();
  load.over_plan = true;
  EXPECT_TRUE(Engine::Load(load));
}

}  // namespace
}  // namespace linnet
