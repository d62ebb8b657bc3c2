// Private to the converter: the tensors of an output file, and how they are written.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "base/thread_pool.h"
#include "quant/convert.h"
#include "quant/fit_size.h"
#include "quant/item.h"
#include "quant/matrix_encoder.h"
#include "quant/output_files.h"

namespace linnet {

class ItemWriter {
 public:
  ItemWriter(const ConvertOptions& options, ThreadPool& pool, const Progress& progress)
      : options_(options), pool_(pool), progress_(progress), encoder_(pool), keep_(options.keep_types) {}

  // Matrices keep the format they have.
  void KeepFormats() { keep_ = true; }
  // Sets the formats of the matrices among them.
  void ChooseFormats(std::vector<Item>& items);
  void Note(std::string note);

  // These files are read: nothing is ever written in their place.
  void Protect(std::span<const std::filesystem::path> inputs);
  // Whether a file may be written there.
  Status CheckOutput(const std::filesystem::path& path) const;

  // The files of these items, or what they would be; they get their names with OutputFiles::Finish. Errors:
  // numbers that the format cannot hold, a disk that is full; those of CheckOutput.
  Status WriteFiles(OutputFiles& files, std::vector<Item> items);

  // Says what the matrices have lost, if anything.
  void NoteLosses();

  ConvertReport& report() { return report_; }

 private:
  Dtype FormatOf(const Item& item, Dtype wanted);
  std::string MadeOf(const std::string& headers, std::span<const Item> items) const;
  Status FitFormats(uint64_t metadata, std::vector<Item>& items);
  std::vector<SizeChoice> ChoicesOf(const Item& item, std::span<const float> importance);
  Status WriteItem(OutputFiles& files, const Item& item);
  Status WriteTensor(OutputFiles& files, const Item& item);
  Status WriteValues(OutputFiles& files, const Item& item, std::span<const float> values);
  Status WriteRows(OutputFiles& files, const Item& item, std::span<const uint8_t> rows);
  Status WriteAfterLevels(OutputFiles& files, const Item& item);
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
  std::vector<std::filesystem::path> read_;  // files of the input
  uint64_t done_ = 0, total_ = 1;            // of its elements
  EncodingLoss loss_;                        // of the item being written
  InputKnowledge inputs_;                    // of it
  std::shared_ptr<const Feedback> feedback_;
  std::vector<uint8_t> recoded_, packed_;
  std::vector<float> decoded_;
  std::vector<uint16_t> steps_, offsets_;  // of the item being written
};

}  // namespace linnet
