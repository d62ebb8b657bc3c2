// Private to the converter: the tensors of an output file, and how they are written.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/thread_pool.h"
#include "io/gguf_writer.h"
#include "io/tensor_source.h"
#include "quant/convert.h"
#include "quant/fit_size.h"
#include "quant/matrix_encoder.h"

namespace linnet {

// One tensor of the output and where its numbers come from.
struct Item {
  std::string name;
  Dtype dtype;
  std::vector<int64_t> shape;
  const TensorSource* source = nullptr;
  const TensorInfo* tensor = nullptr;  // copied or re-encoded row by row
  std::vector<float> values;           // or these, for what is small or reordered
  bool matrix = false;                 // whose format is chosen
  bool packed = false;                 // written in the kernels' layout

  uint64_t elements() const;
};

class ItemWriter {
 public:
  ItemWriter(const ConvertOptions& options, ThreadPool& pool, const Progress& progress)
      : options_(options), pool_(pool), progress_(progress), encoder_(pool), keep_(options.keep_types) {}

  // Matrices keep the format they have.
  void KeepFormats() { keep_ = true; }
  // Sets the formats of the matrices among them.
  void ChooseFormats(std::vector<Item>& items);
  void Note(std::string note);

  // The file of these items, or what it would be. Errors: numbers that the format cannot hold, a disk that is
  // full.
  Status WriteFile(GgufWriter& writer, const std::string& path, std::vector<Item> items);

  // Says what the matrices have lost, if anything.
  void NoteLosses();

  ConvertReport& report() { return report_; }

 private:
  Dtype FormatOf(const Item& item, Dtype wanted);
  Status FitFormats(const GgufWriter& writer, std::vector<Item>& items);
  std::vector<SizeChoice> ChoicesOf(const Item& item, std::span<const float> importance);
  Status WriteItem(GgufWriter& writer, const Item& item);
  Status WriteTensor(GgufWriter& writer, const Item& item);
  Status WriteValues(GgufWriter& writer, const Item& item, std::span<const float> values);
  Status WriteRows(GgufWriter& writer, const Item& item, std::span<const uint8_t> rows);
  // Of a matrix; empty where nothing is known.
  Result<std::span<const float>> ImportanceOf(const Item& item) const;
  Status LookUpInputs(const Item& item);
  void Show(const std::string& path, uint64_t within);

  const ConvertOptions& options_;
  ThreadPool& pool_;
  const Progress& progress_;
  MatrixEncoder encoder_;
  ConvertReport report_;
  bool keep_;
  std::string path_;               // being written
  uint64_t done_ = 0, total_ = 1;  // of its elements
  EncodingLoss loss_;              // of the item being written
  InputKnowledge inputs_;          // of it
  std::shared_ptr<const Feedback> feedback_;
  std::vector<uint8_t> recoded_, packed_;
  std::vector<float> decoded_;
};

}  // namespace linnet
