// Smaller files of a model: formats by mix, lattices that are kept, sizes that are said before.
#include "linnet/quantise.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "base/directory_testing.h"
#include "model/model_files.h"
#include "model/tensor_names.h"
#include "quant/convert.h"
#include "quant/small_model_testing.h"
#include "quant/weight_mix.h"

namespace linnet {
namespace {

namespace fs = std::filesystem;

class QuantiseTest : public DirectoryTest {
 protected:
  Result<QuantiseReport> Make(const std::string& input, const std::string& output, const std::string& mix) {
    QuantiseOptions options;
    options.input = input;
    options.output = File(output);
    options.mix = mix;
    options.threads = 2;
    return Quantise(options);
  }
  std::string BytesOf(const std::string& name) {
    std::ifstream in(File(name), std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
};

std::vector<std::string> NamesOf12b() {
  std::vector<std::string> names = {"token_embd.weight"};
  for (int layer = 0; layer < 48; ++layer) {
    const std::string prefix = "blk." + std::to_string(layer) + ".";
    names.push_back(prefix + "attn_q.weight");
    names.push_back(prefix + "attn_k.weight");
    if (layer % 6 != 5) names.push_back(prefix + "attn_v.weight");
    for (const char* kind : {"attn_output", "ffn_gate", "ffn_up", "ffn_down"})
      names.push_back(prefix + kind + ".weight");
  }
  return names;
}

// Layers whose matrix of this kind has the format.
std::vector<int> LayersOf(const char* mix, const std::string& kind, Dtype dtype, bool importance = false) {
  const std::vector<std::string> names = NamesOf12b();
  const std::vector<Dtype> types = TypesIn(*MixOf(mix), names, importance);
  std::vector<int> layers;
  for (size_t i = 0; i < names.size(); ++i) {
    if (names[i].ends_with(kind + ".weight") && types[i] == dtype)
      layers.push_back(std::stoi(names[i].substr(4)));
  }
  return layers;
}

// Of published files of the 12B.
TEST(WeightMixTest, NamesMeanWhatTheyMeanElsewhere) {
  EXPECT_EQ(LayersOf("q4_k_m", "ffn_down", Dtype::kQ6K),
            (std::vector<int>{0,  1,  2,  3,  4,  5,  8,  11, 14, 17, 20, 23,
                              26, 29, 32, 35, 38, 41, 42, 43, 44, 45, 46, 47}));
  EXPECT_EQ(LayersOf("q4_k_m", "attn_v", Dtype::kQ6K),
            (std::vector<int>{0, 1, 2, 3, 4, 8, 12, 15, 19, 22, 26, 30, 33, 37, 40, 42, 43, 44, 45, 46}));
  EXPECT_EQ(LayersOf("q4_k_m", "ffn_up", Dtype::kQ4K).size(), 48u);
  EXPECT_EQ(LayersOf("q5_k_m", "ffn_down", Dtype::kQ6K), LayersOf("q4_k_m", "ffn_down", Dtype::kQ6K));
  EXPECT_EQ(LayersOf("q3_k_m", "ffn_down", Dtype::kQ5K), (std::vector<int>{0, 1, 2}));
  EXPECT_EQ(LayersOf("q3_k_m", "ffn_down", Dtype::kQ4K).size(), 45u);
  EXPECT_EQ(LayersOf("q3_k_m", "attn_v", Dtype::kQ5K), (std::vector<int>{0, 1}));
  EXPECT_EQ(LayersOf("q3_k_m", "attn_output", Dtype::kQ4K).size(), 48u);
  EXPECT_EQ(LayersOf("iq4_xs", "ffn_down", Dtype::kQ5K), (std::vector<int>{0, 1, 2, 3, 4, 5}));
  EXPECT_TRUE(LayersOf("iq4_xs", "ffn_down", Dtype::kQ5K, true).empty());
  EXPECT_EQ(LayersOf("q4_0", "ffn_down", Dtype::kQ4_1, true), (std::vector<int>{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(TypesIn(*MixOf("q4_0"), NamesOf12b(), false)[0], Dtype::kQ6K);
  EXPECT_EQ(MixOf("q4_k_xxl"), nullptr);
}

TEST(WeightMixTest, RowsThatDoNotDivideGetSmallerBlocks) {
  EXPECT_EQ(TypeForRow(Dtype::kQ4K, 3840), Dtype::kQ4K);
  EXPECT_EQ(TypeForRow(Dtype::kQ4K, 640), Dtype::kQ5_0);
  EXPECT_EQ(TypeForRow(Dtype::kQ6K, 640), Dtype::kQ8_0);
  EXPECT_EQ(TypeForRow(Dtype::kIq4Xs, 96), Dtype::kIq4Nl);
  EXPECT_EQ(TypeForRow(Dtype::kQ3K, 100), Dtype::kBf16);
  EXPECT_EQ(TypeForRow(Dtype::kF32, 7), Dtype::kF32);
}

TEST_F(QuantiseTest, EveryMixOpensAndHasTheSizeThatWasSaid) {
  WriteGemma3(File("model"));
  WriteTokenizer(File("model/tokenizer.json"), 192);
  for (const std::string& mix : QuantiseMixes()) {
    QuantiseOptions options;
    options.input = File("model");
    options.output = File("out-" + mix + ".gguf");
    options.mix = mix;
    options.dry_run = true;
    const auto said = Quantise(options);
    ASSERT_TRUE(said) << said.error().Message();
    EXPECT_FALSE(fs::exists(options.output));
    options.dry_run = false;
    const auto made = Quantise(options);
    ASSERT_TRUE(made) << mix << ": " << made.error().Message();
    ASSERT_EQ(said->files.size(), 1u);
    EXPECT_EQ(said->files[0].bytes, made->files[0].bytes);
    EXPECT_EQ(fs::file_size(options.output), made->files[0].bytes);
    ASSERT_EQ(said->matrices.size(), made->matrices.size());
    const auto files = OpenModel(options.output, "", "");
    ASSERT_TRUE(files) << files.error().Message();
    EXPECT_EQ(files->gguf->metadata().GetInt("general.file_type"), MixOf(mix)->file_type);
    for (size_t i = 0; i < made->matrices.size(); ++i) {
      const QuantisedMatrix& matrix = made->matrices[i];
      EXPECT_EQ(matrix.after, said->matrices[i].after);
      const TensorInfo* tensor = files->text->Find(matrix.name);
      ASSERT_NE(tensor, nullptr);
      EXPECT_EQ(GetDtypeInfo(tensor->dtype).name, matrix.after);
      EXPECT_EQ(tensor->bytes, matrix.bytes);
      EXPECT_EQ(matrix.error > 0, true) << mix << " " << matrix.name;
      EXPECT_LT(matrix.error, 0.02);
    }
  }
}

TEST_F(QuantiseTest, WeightsTrainedForFourBitsKeepTheirValues) {
  WriteGemma3(File("model"), "", true);
  WriteTokenizer(File("model/tokenizer.json"), 192);
  ASSERT_TRUE(Make(File("model"), "q.gguf", "q4_0"));
  ThreadPool pool(2);
  const auto converted = ConvertModel({File("model"), File("c.gguf"), Dtype::kQ4_0}, pool, {});
  ASSERT_TRUE(converted) << converted.error().Message();
  const auto before = OpenModel(File("model"), "", "");
  for (const char* name : {"q.gguf", "c.gguf"}) {
    const auto after = OpenModel(File(name), "", "");
    ASSERT_TRUE(after) << after.error().Message();
    for (const ExpectedTensor& tensor : TextTensors(before->config)) {
      if (tensor.shape.size() != 2) continue;
      EXPECT_EQ(*ReadFloats(*before->text, tensor.role, tensor.layer),
                *ReadFloats(*after->text, tensor.role, tensor.layer))
          << name << " " << GgufName(tensor.role, tensor.layer);
    }
  }
}

TEST_F(QuantiseTest, ConversionSaysWhatItLost) {
  WriteGemma3(File("model"));
  WriteTokenizer(File("model/tokenizer.json"), 192);
  ThreadPool pool(2);
  auto report = ConvertModel({File("model"), File("a.gguf"), Dtype::kQ4_0}, pool, {});
  ASSERT_TRUE(report);
  const auto says = [&](const char* what) {
    return std::ranges::any_of(report->notes,
                               [&](const std::string& note) { return note.find(what) != note.npos; });
  };
  EXPECT_TRUE(says("relative squared error")) << report->notes.size();
  EXPECT_TRUE(says("without a calibration"));
  report = ConvertModel({File("model"), File("b.gguf"), Dtype::kF32}, pool, {});
  ASSERT_TRUE(report);
  EXPECT_FALSE(says("relative squared error"));
  // From f32 to bf16 something is lost, back again nothing.
  report = ConvertModel({File("model"), File("c.gguf"), Dtype::kBf16}, pool, {});
  EXPECT_TRUE(says("relative squared error"));
  report = ConvertModel({File("c.gguf"), File("d.gguf"), Dtype::kF32}, pool, {});
  EXPECT_FALSE(says("relative squared error"));
}

TEST_F(QuantiseTest, ThreadsDoNotChangeTheFile) {
  WriteGemma3(File("model"));
  QuantiseOptions options;
  options.input = File("model");
  options.output = File("one.gguf");
  options.threads = 1;
  ASSERT_TRUE(Quantise(options));
  options.output = File("three.gguf");
  options.threads = 3;
  ASSERT_TRUE(Quantise(options));
  EXPECT_EQ(BytesOf("one.gguf"), BytesOf("three.gguf"));
}

TEST_F(QuantiseTest, ImportanceIsUsed) {
  WriteGemma3(File("model"));
  Importance importance;
  std::vector<float> squares(64, 1.0f);
  for (size_t i = 0; i < 64; i += 2) squares[i] = 400.0f;
  importance.Set("blk.1.ffn_up.weight", {squares, 4});
  importance.chunks = 1;
  ASSERT_TRUE(importance.Write(File("imatrix.gguf")));
  QuantiseOptions options;
  options.input = File("model");
  options.mix = "q4_0";
  options.output = File("without.gguf");
  ASSERT_TRUE(Quantise(options));
  options.output = File("with.gguf");
  options.importance = File("imatrix.gguf");
  const auto report = Quantise(options);
  ASSERT_TRUE(report) << report.error().Message();
  const auto source = OpenModel(File("model"), "", ""), without = OpenModel(File("without.gguf"), "", ""),
             with = OpenModel(File("with.gguf"), "", "");
  const auto error = [&](const ModelFiles& files, Role role) {
    const std::vector<float> x = *ReadFloats(*source->text, role, 1), y = *ReadFloats(*files.text, role, 1);
    double sum = 0;
    for (size_t i = 0; i < x.size(); i += 2) sum += (x[i] - y[i]) * (x[i] - y[i]);
    return sum;
  };
  EXPECT_LT(error(*with, Role::kUp), 0.9 * error(*without, Role::kUp));
  EXPECT_EQ(error(*with, Role::kGate), error(*without, Role::kGate)) << "nothing is known of it";
  EXPECT_EQ(with->gguf->metadata().GetInt("quantize.imatrix.entries_count"), 1);
  // Of another model: refused.
  importance.Set("blk.1.ffn_up.weight", {std::vector<float>(65, 1.0f), 4});
  ASSERT_TRUE(importance.Write(File("other.gguf")));
  options.importance = File("other.gguf");
  options.overwrite = true;
  const auto other = Quantise(options);
  ASSERT_FALSE(other);
  EXPECT_NE(other.error().what.find("65"), std::string::npos) << other.error().what;
}

TEST_F(QuantiseTest, FilesGetTheSizeThatIsAskedFor) {
  WriteGemma3(File("model"));
  WriteTokenizer(File("model/tokenizer.json"), 192);
  QuantiseOptions options;
  options.input = File("model");
  double before = INFINITY;
  for (const uint64_t size : {uint64_t{110'000}, uint64_t{125'000}, uint64_t{150'000}, uint64_t{500'000}}) {
    options.output = File("out-" + std::to_string(size) + ".gguf");
    options.to_bytes = size;
    const auto report = Quantise(options);
    ASSERT_TRUE(report) << report.error().Message();
    EXPECT_LE(fs::file_size(options.output), size);
    EXPECT_TRUE(size > 400'000 || fs::file_size(options.output) > size - 12'000) << "what there is, is used";
    double error = 0;
    for (const QuantisedMatrix& matrix : report->matrices) error += matrix.error;
    EXPECT_LT(error, before) << size;
    before = error;
  }
  options.output = File("small.gguf");
  options.to_bytes = 20'000;
  const auto small = Quantise(options);
  ASSERT_FALSE(small);
  EXPECT_EQ(small.error().code, ErrorCode::kInvalidArgument);
  // Weights on a lattice need no more than it takes.
  WriteGemma3(File("trained"), "", true);
  options.input = File("trained");
  options.output = File("trained.gguf");
  options.to_bytes = 500'000;
  const auto trained = Quantise(options);
  ASSERT_TRUE(trained) << trained.error().Message();
  for (const QuantisedMatrix& matrix : trained->matrices) EXPECT_EQ(matrix.error, 0) << matrix.name;
}

TEST_F(QuantiseTest, ProjectionsGetTheFormatThatIsAskedFor) {
  const std::string chick = std::string(LINNET_SOURCE_DIR) + "/models/chick";
  QuantiseOptions options;
  options.input = chick;
  options.output = File("a.gguf");
  options.mix = "q8_0";
  options.projections = "q8_0";
  ASSERT_TRUE(Quantise(options));
  options.input = File("a.gguf");
  options.output = File("b.gguf");
  options.projections = "q4_0";
  const auto again = Quantise(options);
  ASSERT_TRUE(again) << again.error().Message();
  EXPECT_EQ(again->files.size(), 2u) << "a new file for them, though the old one lies beside";
  const auto before = OpenModel(chick, "", ""), a = OpenModel(File("a.gguf"), File("mmproj-a.gguf"), ""),
             b = OpenModel(File("b.gguf"), File("mmproj-b.gguf"), "");
  ASSERT_TRUE(a && b);
  for (const Role role : {Role::kVisionProjection, Role::kAudioProjection}) {
    EXPECT_EQ(FindTensor(*a->multimodal, role)->dtype, Dtype::kQ8_0);
    EXPECT_EQ(FindTensor(*b->multimodal, role)->dtype, Dtype::kQ4_0);
    const std::vector<float> x = *ReadFloats(*before->multimodal, role),
                             y = *ReadFloats(*a->multimodal, role);
    double error = 0, total = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      error += (x[i] - y[i]) * (x[i] - y[i]);
      total += x[i] * x[i];
    }
    EXPECT_LT(error, 1e-4 * total);
    EXPECT_GT(error, 0);
  }
  EXPECT_EQ(*ReadFloats(*before->multimodal, Role::kPatchDenseWeight),
            *ReadFloats(*b->multimodal, Role::kPatchDenseWeight));
  options.output = File("c.gguf");
  options.projections = "iq1_s";
  EXPECT_FALSE(Quantise(options)) << "is read, not written";
}

TEST_F(QuantiseTest, RefusesWhatItCannotDo) {
  WriteGemma3(File("model"));
  const auto mix = Make(File("model"), "out.gguf", "q4_k_xxl");
  ASSERT_FALSE(mix);
  EXPECT_NE(mix.error().hint.find("q4_k_m"), std::string::npos) << mix.error().hint;
  EXPECT_FALSE(Make(File("model"), "out.gguf", "iq2_s")) << "is read, not written";
  EXPECT_FALSE(Make(File("nothing"), "out.gguf", "q4_0"));
  ASSERT_TRUE(Make(File("model"), "out.gguf", "q4_0"));
  EXPECT_FALSE(Make(File("model"), "out.gguf", "q4_0")) << "exists";
  // A weight that is no number.
  std::fstream weights(File("model/model.safetensors"), std::ios::binary | std::ios::in | std::ios::out);
  weights.seekp(-4, std::ios::end);
  const float bad = std::nanf("");
  weights.write(reinterpret_cast<const char*>(&bad), 4);
  weights.close();
  fs::remove(File("out.gguf"));
  const auto broken = Make(File("model"), "out.gguf", "q4_0");
  EXPECT_EQ(broken.has_value(), false);
  EXPECT_FALSE(fs::exists(File("out.gguf")));
}

}  // namespace
}  // namespace linnet
