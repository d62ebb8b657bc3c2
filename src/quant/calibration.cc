#include "quant/calibration.h"

#include <algorithm>
#include <cmath>

#include "model/tensor_names.h"
#include "ops/matmul.h"
#include "ops/matrix.h"

namespace linnet {
namespace {

// Where the decoder shows what matrices multiply, and which these are.
struct Source {
  std::string_view probe;
  std::vector<Role> roles;
};

const std::vector<Source>& Sources() {
  static const std::vector<Source> sources = {{"input_norm", {Role::kQ, Role::kK, Role::kV}},
                                              {"attn", {Role::kO}},
                                              {"pre_feedforward_norm", {Role::kGate, Role::kUp}},
                                              {"gelu", {Role::kDown}},
                                              {"final_norm", {Role::kEmbedding}},
                                              {"vision_norm", {Role::kVisionProjection}},
                                              {"audio_norm", {Role::kAudioProjection}}};
  return sources;
}

// Those of the model, whether its file holds them or a file of their own.
std::vector<ExpectedTensor> TensorsOf(const ModelConfig& config) {
  std::vector<ExpectedTensor> tensors = TextTensors(config);
  const std::vector<ExpectedTensor> media = MultimodalTensors(config);
  tensors.insert(tensors.end(), media.begin(), media.end());
  return tensors;
}

const Source* SourceOf(Role role) {
  for (const Source& source : Sources()) {
    if (std::ranges::find(source.roles, role) != source.roles.end()) return &source;
  }
  return nullptr;
}

// The table as what it multiplies.
constexpr char kTable[] = "token_embd.weight", kHead[] = "output.weight";

// Rows of a product at a time.
constexpr int64_t kProductRows = 256;

}  // namespace

struct Calibration::Input {
  std::string_view probe;
  int64_t layer = -1, width = 0, columns = 0;  // columns of a block
  std::vector<std::string> matrices;
  std::vector<double> squares;
  double count = 0;
  std::vector<std::vector<float>> products;  // of each block
  std::shared_ptr<const Feedback> feedback;
};

Calibration::Calibration(const ModelConfig& config, const CalibrationRules& rules,
                         std::shared_ptr<ThreadPool> pool, const KernelTable& kernels)
    : rules_(rules), pool_(std::move(pool)), context_(*pool_, kernels) {
  for (const ExpectedTensor& tensor : TensorsOf(config)) {
    const Source* source = tensor.shape.size() == 2 ? SourceOf(tensor.role) : nullptr;
    if (source == nullptr) continue;
    Input* input = InputOf(source->probe, tensor.layer);
    if (input == nullptr) {
      input = inputs_.emplace_back(std::make_unique<Input>()).get();
      input->probe = source->probe;
      input->layer = tensor.layer;
      input->width = tensor.shape[1];
      input->columns = rules.columns > 0 ? std::min(rules.columns, input->width) : input->width;
      input->squares.assign(static_cast<size_t>(input->width), 0.0);
    }
    const std::string name = GgufName(tensor.role, tensor.layer);
    input->matrices.push_back(name == kTable ? kHead : name);
    if (!rules.products || tensor.role == Role::kEmbedding || !input->products.empty()) continue;
    for (int64_t first = 0; first < input->width; first += input->columns) {
      const size_t n = static_cast<size_t>(std::min(input->columns, input->width - first));
      input->products.emplace_back(n * n, 0.0f);
    }
  }
}

Calibration::~Calibration() = default;

uint64_t Calibration::PlannedBytes(const ModelConfig& config, const CalibrationRules& rules) {
  uint64_t bytes = 0;
  for (const ExpectedTensor& tensor : TensorsOf(config)) {
    const Source* source = tensor.shape.size() == 2 ? SourceOf(tensor.role) : nullptr;
    if (source == nullptr || tensor.role != source->roles[0]) continue;
    const uint64_t width = static_cast<uint64_t>(tensor.shape[1]);
    bytes += width * sizeof(double);
    if (!rules.products || tensor.role == Role::kEmbedding) continue;
    const uint64_t columns =
        rules.columns > 0 ? std::min<uint64_t>(static_cast<uint64_t>(rules.columns), width) : width;
    for (uint64_t first = 0; first < width; first += columns) {
      const uint64_t n = std::min(columns, width - first);
      bytes += n * n * sizeof(float);
    }
  }
  return bytes;
}

Calibration::Input* Calibration::InputOf(std::string_view probe, int64_t layer) {
  const auto it = std::ranges::find_if(
      inputs_, [&](const auto& input) { return input->probe == probe && input->layer == layer; });
  return it == inputs_.end() ? nullptr : it->get();
}

void Calibration::See(std::string_view name, int64_t layer, Rows rows) {
  Input* input = InputOf(name, layer);
  if (input == nullptr || rows.width != input->width) return;
  if (at_first_ && !rules_.first_positions) rows = rows.Slice(1, rows.rows - 1);
  if (rows.rows <= 0) return;
  pool_->For(rows.width, [&](int64_t begin, int64_t end, int) {
    for (int64_t r = 0; r < rows.rows; ++r) {
      const float* row = rows.row(r);
      for (int64_t i = begin; i < end; ++i) {
        input->squares[static_cast<size_t>(i)] += static_cast<double>(row[i]) * static_cast<double>(row[i]);
      }
    }
  });
  input->count += static_cast<double>(rows.rows);
  if (!input->products.empty()) AddProducts(*input, rows);
}

// The rows stand beside each other as columns; products of columns are then an ordinary product of matrices.
void Calibration::AddProducts(Input& input, Rows rows) {
  const int64_t tokens = rows.rows;
  context_.Reserve({kProductRows, tokens, 0, 0});
  for (size_t block = 0; block < input.products.size(); ++block) {
    const int64_t first = static_cast<int64_t>(block) * input.columns;
    const int64_t n = std::min(input.columns, input.width - first);
    transposed_.resize(static_cast<size_t>(n * tokens));
    pool_->For(n, [&](int64_t begin, int64_t end, int) {
      for (int64_t i = begin; i < end; ++i) {
        for (int64_t t = 0; t < tokens; ++t)
          transposed_[static_cast<size_t>(i * tokens + t)] = rows.row(t)[first + i];
      }
    });
    Matrix matrix = AllocateMatrix(PanelFormat::kF32, n, tokens);
    const std::span<const uint8_t> bytes(reinterpret_cast<const uint8_t*>(transposed_.data()),
                                         transposed_.size() * sizeof(float));
    pool_->For(PanelCount(n), [&](int64_t begin, int64_t end, int) {
      for (int64_t p = begin; p < end; ++p) {
        const size_t at = static_cast<size_t>(p * kPanel * tokens) * sizeof(float);
        const size_t length =
            static_cast<size_t>(std::min<int64_t>(kPanel, n - p * kPanel) * tokens) * sizeof(float);
        PackPanel(Dtype::kF32, bytes.subspan(at, length), p, matrix);
      }
    });
    sums_.resize(static_cast<size_t>(std::min(kProductRows, n) * n));
    for (int64_t row = 0; row < n; row += kProductRows) {
      const int64_t count = std::min(kProductRows, n - row);
      const Rows out = MakeRows(sums_.data(), count, n);
      MatMul(context_, matrix, MakeRows(transposed_.data() + row * tokens, count, tokens), out);
      float* to = input.products[block].data() + row * n;
      for (int64_t i = 0; i < count * n; ++i) to[i] += sums_[static_cast<size_t>(i)];
    }
  }
}

Importance Calibration::importance() const {
  Importance importance;
  for (const auto& input : inputs_) {
    if (input->count == 0) continue;
    Importance::Entry entry{{input->squares.begin(), input->squares.end()}, static_cast<float>(input->count)};
    for (const std::string& name : input->matrices) importance.Set(name, entry);
  }
  return importance;
}

std::shared_ptr<const Feedback> Calibration::FeedbackOf(std::string_view name) {
  Input* wanted = nullptr;
  for (const auto& input : inputs_) {
    if (std::ranges::find(input->matrices, name) != input->matrices.end()) wanted = input.get();
  }
  if (wanted == nullptr || wanted->products.empty() || wanted->count == 0) return nullptr;
  if (wanted->feedback != nullptr) return wanted->feedback;
  auto feedback = std::make_shared<Feedback>();
  for (const std::vector<float>& products : wanted->products) {
    const int64_t n = std::llround(std::sqrt(static_cast<double>(products.size())));
    feedback->factors.emplace_back(products, n, kDamping, *pool_);
  }
  // One layer's at a time: its matrices follow each other in a file.
  for (const auto& input : inputs_) {
    if (input->layer != wanted->layer) input->feedback.reset();
  }
  wanted->feedback = feedback;
  return feedback;
}

}  // namespace linnet
