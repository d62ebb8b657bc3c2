// Files in the kernels' own layout are the model they were made from, bit for bit, and are used where they
// lie.
#include <gtest/gtest.h>

#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "base/directory_testing.h"
#include "linnet/session.h"
#include "quant/convert.h"
#include "runtime/engine_impl.h"

namespace linnet {
namespace {

namespace fs = std::filesystem;

class Packed : public DirectoryTest {
 protected:
  Result<ConvertReport> Convert(ConvertOptions options) {
    ThreadPool pool(2);
    return ConvertModel(options, pool, {});
  }

  std::string Pack(const std::string& input, const std::string& name) {
    const auto report = Convert({.input = input, .output = File(name), .pack = true, .keep_types = true});
    EXPECT_TRUE(report) << (report ? "" : report.error().Message());
    return File(name);
  }

  std::string Read(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::stringstream bytes;
    bytes << file.rdbuf();
    return bytes.str();
  }

  void Write(const std::string& path, const std::string& bytes) {
    std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  }
};

Result<std::unique_ptr<Engine>> Load(const std::string& model, bool dequantise = false) {
  LoadOptions options;
  options.model = model;
  options.threads = 2;
  options.dequantise = dequantise;
  return LoadEngine(options, false);
}

// Of a prompt (products of many rows) and of one more token (products of one), side by side.
std::vector<float> Logits(Engine& engine) {
  auto session = engine.NewSession({.context = 128});
  std::vector<int32_t> ids(40);
  for (size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<int32_t>((7 * i + 2) % 150);
  EXPECT_TRUE((*session)->Feed(ids));
  std::vector<float> all((*session)->logits().begin(), (*session)->logits().end());
  EXPECT_TRUE((*session)->Feed(std::vector<int32_t>{3}));
  all.insert(all.end(), (*session)->logits().begin(), (*session)->logits().end());
  return all;
}

void ExpectSame(const std::string& plain, const std::string& packed, bool dequantise) {
  auto a = Load(plain, dequantise), b = Load(packed, dequantise);
  ASSERT_TRUE(a && b) << (a ? "" : a.error().Message()) << (b ? "" : b.error().Message());
  EXPECT_EQ((*a)->impl().mapped.size(), 0u);
  EXPECT_EQ((*b)->impl().mapped.size(), 1u) << "it is not used in place";
  const std::vector<float> x = Logits(**a), y = Logits(**b);
  ASSERT_EQ(x.size(), y.size());
  EXPECT_EQ(0, std::memcmp(x.data(), y.data(), x.size() * sizeof(float))) << packed;
}

TEST_F(Packed, ChickAnswersBitForBitTheSame) {
  for (const Dtype type : {Dtype::kF32, Dtype::kBf16, Dtype::kQ8_0, Dtype::kQ4_0}) {
    const std::string name(GetDtypeInfo(type).name);
    const std::string plain = File(name + ".gguf");
    ASSERT_TRUE(Convert({.input = "", .output = plain, .type = type}));
    const std::string packed = Pack(plain, name + "-packed.gguf");
    ExpectSame(plain, packed, false);
    ExpectSame(plain, packed, true);
    // From the directory's tensors at once.
    const std::string direct = File(name + "-direct.gguf");
    ASSERT_TRUE(Convert({.input = "", .output = direct, .type = type, .pack = true}));
    ExpectSame(plain, direct, false);
  }
}

TEST_F(Packed, AFileOfAnotherLayoutSaysWhatToDo) {
  const std::string file = Pack("", "packed.gguf");
  std::string bytes = Read(file);
  const std::string layout(kPackedLayout);
  const size_t place = bytes.find(layout);
  ASSERT_NE(place, std::string::npos);
  bytes[place + layout.size() - 1] = '9';
  Write(file, bytes);
  const auto engine = Load(file);
  ASSERT_FALSE(engine);
  EXPECT_EQ(engine.error().code, ErrorCode::kUnsupported);
  EXPECT_NE(engine.error().Message().find("panels16-9"), std::string::npos) << engine.error().Message();
  EXPECT_NE(engine.error().Message().find("from the original"), std::string::npos);
}

TEST_F(Packed, WithoutTheNameOfItsLayoutAFileIsRefused) {
  const std::string file = Pack("", "packed.gguf");
  std::string bytes = Read(file);
  const size_t place = bytes.find("linnet.packed_layout");
  ASSERT_NE(place, std::string::npos);
  bytes[place] = 'L';
  Write(file, bytes);
  const auto engine = Load(file);
  ASSERT_FALSE(engine);
  EXPECT_NE(engine.error().Message().find("linnet.packed_layout is missing"), std::string::npos)
      << engine.error().Message();
}

TEST_F(Packed, TensorsOffTheLineAreRefused) {
  const std::string file = Pack("", "packed.gguf");
  std::string bytes = Read(file);
  const size_t place = bytes.find("general.alignment");
  ASSERT_NE(place, std::string::npos);
  bytes[place + std::strlen("general.alignment") + 4] = 16;  // the data may now begin elsewhere
  // One matrix moves by 16: wherever the data begin, it or another one is now off the line.
  const std::string name = "blk.0.attn_q.weight";
  const size_t entry = bytes.find(name);
  ASSERT_NE(entry, std::string::npos);
  const size_t offset = entry + name.size() + 4 + 2 * 8 + 4;  // after rank, two sizes and type
  ASSERT_EQ(bytes[offset] & 63, 0);
  bytes[offset] = static_cast<char>(bytes[offset] + 16);
  Write(file, bytes);
  const auto engine = Load(file);
  ASSERT_FALSE(engine);
  EXPECT_NE(engine.error().Message().find("no multiple of 64"), std::string::npos)
      << engine.error().Message();
}

TEST_F(Packed, CannotBeConvertedAgain) {
  const std::string file = Pack("", "packed.gguf");
  const auto report = Convert({.input = file, .output = File("again.gguf"), .type = Dtype::kBf16});
  ASSERT_FALSE(report);
  EXPECT_NE(report.error().Message().find("convert the file it was made from"), std::string::npos);
  EXPECT_FALSE(fs::exists(File("again.gguf")));
}

// A packed file is used where it lies, so what becomes of it is seen at every step.
TEST_F(Packed, AFileThatChangesWhileInUseIsAnError) {
  const std::string path = Pack("", "chick.gguf");
  const std::string whole = Read(path);
  const auto moved = [&] {
    Write(path + ".new", std::string(whole.size(), 'x'));
    fs::rename(path + ".new", path);
  };
  const auto written_over = [&] { Write(path, std::string(whole.size(), 'x')); };
  const auto cut = [&] { fs::resize_file(path, whole.size() / 2); };
  const auto grown = [&] { std::ofstream(path, std::ios::app) << "more"; };
  const auto try_with = [&](const std::function<void()>& change, bool goes_on) {
    Write(path, whole);
    const auto engine = Load(path);
    ASSERT_TRUE(engine) << engine.error().Message();
    const auto session = (*engine)->NewSession({.context = 128});
    ASSERT_TRUE((*session)->Feed(std::vector<int32_t>{5, 6, 7}));
    std::this_thread::sleep_for(std::chrono::milliseconds(20));  // the clock of a file system ticks slowly
    change();
    for (int i = 0; i < 2; ++i) {
      const Status fed = (*session)->Feed(std::vector<int32_t>{8});
      ASSERT_EQ(fed.has_value(), goes_on);
      if (goes_on) continue;
      EXPECT_EQ(fed.error().code, ErrorCode::kBadFile);
      EXPECT_NE(fed.error().what.find("chick.gguf"), std::string::npos) << fed.error().Message();
    }
  };
  try_with(written_over, false);
  try_with(cut, false);
  try_with(grown, false);
  try_with(moved, true);  // the file that is mapped is still whole
}

}  // namespace
}  // namespace linnet
