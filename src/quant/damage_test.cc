// Damaged model files, from opening to the first logits: an error or correct behaviour, never a crash. Meant
// to run under the sanitizers as well.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "base/directory_testing.h"
#include "linnet/session.h"
#include "quant/convert.h"
#include "runtime/engine_impl.h"

namespace linnet {
namespace {

namespace fs = std::filesystem;

const fs::path kIntact = fs::path(LINNET_SOURCE_DIR) / "tests/data/golden/model/target";

const fs::path kFormats = fs::path(LINNET_SOURCE_DIR) / "tests/data/formats/model";

class Damage : public DirectoryTest {
 protected:
  // Copies the model directory and returns it.
  fs::path Directory() {
    const fs::path directory = root_ / "model";
    fs::copy(kIntact, directory);
    return directory;
  }

  // Converts the model to a GGUF pair and returns the text file.
  fs::path GgufFile(bool pack = false) {
    ThreadPool pool(1);
    const fs::path file = root_ / "model.gguf";
    const auto report = ConvertModel({kIntact.string(), file.string(), Dtype::kQ8_0, false, pack}, pool, {});
    EXPECT_TRUE(report.has_value()) << (report ? "" : report.error().Message());
    return file;
  }

  // Opens, loads and feeds. True if it worked, false for an error; an error has a text.
  bool Try(const fs::path& model) {
    LoadOptions options;
    options.model = model.string();
    options.threads = 1;
    const auto engine = LoadEngine(options, false);
    if (!engine) {
      EXPECT_FALSE(engine.error().what.empty());
      return false;
    }
    auto session = (*engine)->NewSession(
        {.context = std::min<int64_t>(32, (*engine)->impl().config.max_position_embeddings),
         .rows_per_call = 8});
    if (!session) return false;
    const std::vector<int32_t> ids = {2, 5, 7};
    return (*session)->Feed(ids).has_value();
  }

  // Flips a bit in each of `count` copies, most of them in the first `header` bytes, then restores the file.
  void Flip(const fs::path& file, const fs::path& model, int count, size_t header) {
    const std::string bytes = ReadBytes(file);
    std::mt19937 rng(42);
    int worked = 0;
    for (int i = 0; i < count; ++i) {
      std::string damaged = bytes;
      const size_t range = i % 4 == 0 ? bytes.size() : std::min(header, bytes.size());
      const size_t place = rng() % range;
      damaged[place] = static_cast<char>(damaged[place] ^ (1 << (rng() % 8)));
      WriteBytes(file, damaged);
      worked += Try(model);
    }
    WriteBytes(file, bytes);
    EXPECT_TRUE(Try(model));
    EXPECT_LT(worked, count);  // some damage must have been noticed
  }

  // Cuts the file at every kilobyte: each must be refused.
  void Truncate(const fs::path& file, const fs::path& model) {
    const std::string bytes = ReadBytes(file);
    for (size_t length = 0; length < bytes.size(); length += 1024) {
      WriteBytes(file, bytes.substr(0, length));
      EXPECT_FALSE(Try(model)) << length;
    }
  }
};

TEST_F(Damage, SafetensorsCutAnywhereAreRefused) {
  const fs::path directory = Directory();
  Truncate(directory / "model.safetensors", directory);
}

TEST_F(Damage, GgufsCutAnywhereAreRefused) {
  const fs::path file = GgufFile();
  Truncate(file, file);
}

TEST_F(Damage, PackedFilesCutAnywhereAreRefused) {
  const fs::path file = GgufFile(true);
  Truncate(file, file);
}

TEST_F(Damage, PackedFilesWithFlippedBits) {
  const fs::path file = GgufFile(true);
  Flip(file, file, 3000, 9000);
}

TEST_F(Damage, SafetensorsWithFlippedBits) {
  const fs::path directory = Directory();
  Flip(directory / "model.safetensors", directory, 3000, 12000);
}

// Each container of quantised matrices, and the types of ggml that have no kernels.
TEST_F(Damage, QuantisedModelsWithFlippedBitsOrCut) {
  for (const char* name :
       {"mlx-mixed", "mlx-nvfp4", "ct-w4a16-asym", "ct-nvfp4a16", "ct-fp8-dynamic", "gptq-mlp", "awq"}) {
    const fs::path directory = root_ / name;
    fs::copy(kFormats / name, directory);
    Flip(directory / "model.safetensors", directory, 300, 12000);
    Flip(directory / "config.json", directory, 100, 1 << 20);
    const std::string bytes = ReadBytes(directory / "model.safetensors");
    WriteBytes(directory / "model.safetensors", bytes.substr(0, bytes.size() - 1));
    EXPECT_FALSE(Try(directory)) << name;
  }
  const fs::path file = root_ / "mixed.gguf";
  fs::copy_file(kFormats / "gguf-mixed.gguf", file);
  Flip(file, file, 300, 9000);
}

TEST_F(Damage, GgufsWithFlippedBits) {
  const fs::path file = GgufFile();
  Flip(file, file, 3000, 9000);
}

TEST_F(Damage, MultimodalGgufsWithFlippedBits) {
  const fs::path file = GgufFile();
  const fs::path multimodal = root_ / "mmproj-model.gguf";
  const std::string bytes = ReadBytes(multimodal);
  std::mt19937 rng(43);
  for (int i = 0; i < 1000; ++i) {  // a damaged neighbour may also be left out, so that the text model works
    std::string damaged = bytes;
    const size_t place = rng() % (i % 4 == 0 ? bytes.size() : 2500);
    damaged[place] = static_cast<char>(damaged[place] ^ (1 << (rng() % 8)));
    WriteBytes(multimodal, damaged);
    Try(file);
  }
}

TEST_F(Damage, ConfigurationsWithFlippedBits) {
  const fs::path directory = Directory();
  Flip(directory / "config.json", directory, 3000, 1 << 20);
  Flip(directory / "generation_config.json", directory, 300, 1 << 20);
}

TEST_F(Damage, ConvertingDamagedFilesDoesNotCrash) {
  const fs::path directory = Directory();
  const fs::path file = directory / "model.safetensors";
  const std::string bytes = ReadBytes(file);
  ThreadPool pool(1);
  std::mt19937 rng(44);
  for (int i = 0; i < 200; ++i) {
    std::string damaged = bytes;
    damaged[rng() % 12000] ^= static_cast<char>(1 << (rng() % 8));
    WriteBytes(file, damaged);
    const auto report =
        ConvertModel({directory.string(), (root_ / "out.gguf").string(), Dtype::kQ4_0, true}, pool, {});
    if (!report) {
      EXPECT_FALSE(report.error().what.empty());
    }
  }
}

}  // namespace
}  // namespace linnet
