// Damaged reference data: an error that names file and field, or a failed case, and never a fault.
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <limits>
#include <map>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "eval/parity.h"
#include "io/safetensors.h"

namespace linnet {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

const fs::path kModels = LINNET_SOURCE_DIR "/tests/data/golden/model";

struct Tensor {
  std::string dtype;
  std::vector<int64_t> shape;
  std::vector<uint8_t> bytes;

  void Int(size_t at, int32_t value) { std::memcpy(&bytes.at(4 * at), &value, 4); }
  void Float(size_t at, float value) { std::memcpy(&bytes.at(4 * at), &value, 4); }
  void Empty() { shape = {0}, bytes.clear(); }
  void Shorten() {
    const auto row = static_cast<ptrdiff_t>(bytes.size()) / shape[0];
    bytes.erase(bytes.end() - row, bytes.end());
    --shape[0];
  }
};
using Tensors = std::map<std::string, Tensor>;

Tensors Read(const fs::path& path) {
  const auto file = Safetensors::Open(path);
  EXPECT_TRUE(file) << path;
  Tensors tensors;
  std::vector<uint8_t> scratch;
  for (const TensorInfo& info : (*file)->tensors()) {
    const auto bytes = (*file)->Bytes(info, 0, info.bytes, scratch);
    tensors[info.name] = {
        info.dtype == Dtype::kI32 ? "I32" : "F32", info.shape, {bytes.begin(), bytes.end()}};
  }
  return tensors;
}

void Write(const fs::path& path, const Tensors& tensors) {
  Json header;
  size_t begin = 0;
  for (const auto& [name, tensor] : tensors) {
    header[name] = {{"dtype", tensor.dtype},
                    {"shape", tensor.shape},
                    {"data_offsets", {begin, begin + tensor.bytes.size()}}};
    begin += tensor.bytes.size();
  }
  const std::string text = header.dump();
  std::ofstream out(path, std::ios::binary);
  const uint64_t size = text.size();
  out.write(reinterpret_cast<const char*>(&size), 8) << text;
  for (const auto& [name, tensor] : tensors) {
    out.write(reinterpret_cast<const char*>(tensor.bytes.data()),
              static_cast<std::streamsize>(tensor.bytes.size()));
  }
}

struct Damage {
  const char *test, *tensor;
  std::function<void(Tensor&)> change;  // none: the tensor is taken out
};

const float kNan = std::numeric_limits<float>::quiet_NaN();

const Damage kDamages[] = {
    {"media-mixed", "in.mm_token_type_ids", [](Tensor& t) { t.Int(0, 4); }},
    {"media-mixed", "in.mm_token_type_ids", [](Tensor& t) { t.Int(0, -1); }},
    {"media-mixed", "in.mm_token_type_ids", [](Tensor& t) { t.Empty(); }},
    {"media-mixed", "in.mm_token_type_ids", [](Tensor& t) { t.Shorten(); }},
    {"media-mixed", "in.mm_token_type_ids", [](Tensor& t) { t.dtype = "F32"; }},
    {"text-chunked", "in.chunk", [](Tensor& t) { t.Empty(); }},
    {"text-chunked", "in.chunk", [](Tensor& t) { t.Int(0, 0); }},
    {"text-chunked", "in.chunk", [](Tensor& t) { t.Int(0, -5); }},
    {"text-chunked", "in.chunk", [](Tensor& t) { t.Int(0, INT32_MAX); }},
    {"text-chunked", "in.chunk", [](Tensor& t) { t.dtype = "F32"; }},
    {"text-prefill", "in.input_ids", [](Tensor& t) { t.Int(3, -1); }},
    {"text-prefill", "in.input_ids", [](Tensor& t) { t.Int(3, 1 << 30); }},
    {"text-prefill", "in.input_ids", [](Tensor& t) { t.Empty(); }},
    {"text-prefill", "in.input_ids", [](Tensor& t) { t.dtype = "F32"; }},
    {"text-greedy", "out.tokens", [](Tensor& t) { t.Empty(); }},
    {"text-greedy", "out.tokens", [](Tensor& t) { t.Int(0, -7); }},
    {"text-greedy", "out.tokens", [](Tensor& t) { t.dtype = "F32"; }},
    {"media-one-image", "in.image0.patches", [](Tensor& t) { t.Float(5, kNan); }},
    {"media-one-image", "in.image0.patches", [](Tensor& t) { t.Float(5, INFINITY); }},
    {"media-one-image", "in.image0.patches", [](Tensor& t) { t.Empty(); }},
    {"media-one-image", "in.image0.patches", [](Tensor& t) { t.shape = {t.shape[0] * t.shape[1]}; }},
    {"media-one-image", "in.image0.positions", [](Tensor& t) { t.Int(0, -1); }},
    {"media-one-image", "in.image0.positions", [](Tensor& t) { t.Int(1, 100000); }},
    {"media-one-image", "in.image0.positions", [](Tensor& t) { t.Shorten(); }},
    {"media-one-image", "in.image0.positions", [](Tensor& t) { t.dtype = "F32"; }},
    {"media-one-image", "in.image0.positions", nullptr},
    {"media-one-image", "in.image0.patches", nullptr},
    {"media-soft-images", "in.image2.patches", [](Tensor& t) { t.Float(0, kNan); }},
    {"media-soft-images", "in.image0.positions", [](Tensor& t) { t.Int(0, 100000); }},
    {"media-soft-video", "in.frame0.patches", [](Tensor& t) { t.dtype = "I32"; }},
    {"media-soft-audio", "in.clip0.samples", [](Tensor& t) { t.Empty(); }},
    {"media-soft-audio", "in.clip0.samples", [](Tensor& t) { t.Float(0, kNan); }},
    {"media-soft-audio", "in.clip0.samples", [](Tensor& t) { t.dtype = "I32"; }},
    {"drafter-plain-target", "in.bonus", [](Tensor& t) { t.Empty(); }},
    {"drafter-plain-target", "in.bonus", [](Tensor& t) { t.Int(0, 1 << 30); }},
    {"drafter-plain-target", "in.position", [](Tensor& t) { t.Int(0, 1); }},
    {"drafter-plain-target", "in.position", nullptr},
    {"drafter-plain-target", "in.h", [](Tensor& t) { t.Float(0, kNan); }},
    {"drafter-plain-target", "in.kv.full.k", [](Tensor& t) { t.Shorten(); }},
    {"drafter-plain-target", "in.kv.sliding.v", nullptr},
    {"drafter-plain-target", "out.tokens", [](Tensor& t) { t.Empty(); }},
    {"drafter-plain-target", "out.logits", [](Tensor& t) { t.Empty(); }},
    {"text-prefill", "out.embeds", [](Tensor& t) { t.Float(0, kNan); }},
    {"text-prefill", "out.embeds", [](Tensor& t) { t.Empty(); }},
    {"text-prefill", "out.embeds", [](Tensor& t) { t.Shorten(); }},
    {"text-prefill", "out.embeds", [](Tensor& t) { t.dtype = "I32"; }},
};

class ParityDamage : public ::testing::Test {
 protected:
  void SetUp() override {
    root_ = fs::path(::testing::TempDir()) / "linnet_parity_damage";
    fs::remove_all(root_);
    fs::create_directories(root_ / "model");
    for (const char* model : {"target", "assistant", "assistant-centroid"}) {
      fs::create_directory_symlink(kModels / model, root_ / "model" / model);
    }
    index_ = Json::parse(std::ifstream(kModels / "cases.json"));
  }
  void TearDown() override { fs::remove_all(root_); }

  // The one case of this name, or what ended all of them.
  CaseResult Run(const std::string& name) {
    Json one = index_;
    one["cases"] = Json::array();
    for (const Json& entry : index_["cases"]) {
      if (entry["name"] == name) one["cases"].push_back(entry);
    }
    std::ofstream(root_ / "model" / "cases.json") << one.dump();
    CaseResult found;
    ParityOptions options;
    options.threads = 1;
    const Status status = RunModelCases(root_, options, [&](const CaseResult& result) { found = result; });
    if (!status) found.note = status.error().Message();
    return found;
  }

  fs::path root_;
  Json index_;
};

TEST_F(ParityDamage, EveryDamageIsNamed) {
  for (const Damage& damage : kDamages) {
    const std::string file = std::string(damage.test) + ".safetensors";
    Tensors tensors = Read(kModels / file);
    ASSERT_TRUE(tensors.contains(damage.tensor)) << damage.test << " " << damage.tensor;
    if (damage.change) {
      damage.change(tensors[damage.tensor]);
    } else {
      tensors.erase(damage.tensor);
    }
    Write(root_ / "model" / file, tensors);
    const CaseResult result = Run(damage.test);
    EXPECT_EQ(result.state, CaseState::kFail) << damage.test << " " << damage.tensor;
    EXPECT_NE(result.note.find(damage.tensor), std::string::npos) << damage.test << ": " << result.note;
    const bool output = std::string_view(damage.tensor).starts_with("out.") && !result.probes.empty();
    EXPECT_TRUE(output || result.note.find(file) != std::string::npos) << result.note;
  }
}

TEST_F(ParityDamage, TheCopiesPassUndamaged) {
  for (const char* name : {"media-mixed", "text-chunked", "media-soft-audio", "drafter-plain-target"}) {
    Write(root_ / "model" / (std::string(name) + ".safetensors"),
          Read(kModels / (std::string(name) + ".safetensors")));
    const CaseResult result = Run(name);
    EXPECT_EQ(result.state, CaseState::kPass) << name << ": " << result.note;
  }
}

TEST_F(ParityDamage, TheLargeModelIsNotMadeForDamagedInputs) {
  fs::copy(kModels / "large.json", root_ / "model" / "large.json");
  const auto run = [&](const char* tensor, const std::function<void(Tensor&)>& change) {
    Tensors tensors = Read(kModels / "large.safetensors");
    if (change) change(tensors.at(tensor));
    if (!change) tensors.erase(tensor);
    Write(root_ / "model" / "large.safetensors", tensors);
    const CaseResult result = Run("none");
    EXPECT_EQ(result.state, CaseState::kFail) << tensor;
    EXPECT_NE(result.note.find(tensor), std::string::npos) << result.note;
    EXPECT_NE(result.note.find("large.safetensors"), std::string::npos) << result.note;
  };
  run("in.mixed.mm_token_type_ids", [](Tensor& t) { t.Int(0, 4); });
  run("in.mixed.input_ids", [](Tensor& t) { t.Empty(); });
  run("in.mixed.positions", [](Tensor& t) { t.Empty(); });
  run("in.mixed.positions", [](Tensor& t) { t.Int(0, -2); });
  run("in.long.input_ids", [](Tensor& t) { t.Empty(); });
  run("in.patches.head", [](Tensor& t) { t.Empty(); });
  run("in.samples.head", nullptr);
}

}  // namespace
}  // namespace linnet
