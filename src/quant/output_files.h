// Private to the converter: the files that items are written to, one after another, each of a size at most.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/mapped_file.h"
#include "io/gguf_writer.h"
#include "io/safetensors_writer.h"
#include "linnet/error.h"
#include "quant/convert.h"
#include "quant/item.h"
#include "quant/resume_log.h"
#include "runtime/checksum.h"

namespace linnet {

// What an output in the making is called, and what is kept beside it (ResumeLog).
inline constexpr char kPartEnding[] = ".linnet-part", kResumeEnding[] = ".linnet-resume";

class OutputFiles {
 public:
  // `most`: bytes of the tensors in a file, where one alone has no more; 0: all in one file.
  explicit OutputFiles(uint64_t most) : most_(most) {}
  virtual ~OutputFiles() = default;

  // Bytes before the tensors of the items.
  virtual uint64_t MetadataBytes() const { return 0; }

  void Plan(std::span<const Item> items);
  std::vector<ConvertedFile> Files() const;
  // What stands before the tensors, of all files.
  std::string Headers() const;

  // Goes on where a run that wrote the same was killed, after a look at what is there; `made_of` is what else
  // the bytes depend on. Returns of each item that is complete what it lost. Errors: kBadFile, the disk has
  // no room for the rest; those of ResumeLog::Open.
  Result<std::vector<EncodingLoss>> Begin(const std::string& made_of);
  // The next bytes of the items' tensors.
  Status Write(std::span<const uint8_t> bytes);
  // An item is complete.
  Status EndItem(const EncodingLoss& loss);
  // All files get their names.
  Status Finish();

 protected:
  // What is kept beside the output while it is in the making.
  virtual std::filesystem::path LogPath() const = 0;
  // Called once nobody else writes the same output, before anything is written.
  virtual Status MakePlace() { return {}; }
  // File `number` of `count`, with nothing in it.
  virtual std::unique_ptr<TensorFileWriter> NewFile(size_t number, size_t count, size_t items) = 0;
  virtual void AddItem(TensorFileWriter& file, const Item& item) = 0;
  virtual uint64_t BytesOf(const Item& item) const = 0;

 private:
  // The tensors of an item.
  struct Place {
    size_t file, first, count;
  };
  Result<uint64_t> ChecksumOfItem(const Place& place);
  Status CheckRoom() const;

  const uint64_t most_;
  std::vector<std::unique_ptr<TensorFileWriter>> files_;
  std::vector<Place> places_;  // of the items
  size_t begun_ = 0;
  std::optional<ResumeLog> log_;
  std::optional<Checksum> checksum_;   // of the item at hand
  std::optional<MappedFile> earlier_;  // of file earlier_file_, as a run before left it
  size_t earlier_file_ = 0;
  std::vector<uint64_t> earlier_offsets_;  // of its tensors
};

// PATH, or PATH without its ending and -00001-of-00003.gguf.
class GgufFiles : public OutputFiles {
 public:
  GgufFiles(const std::filesystem::path& path, uint64_t most)
      : OutputFiles(most), path_(path), first_(std::make_unique<GgufWriter>(path)) {}

  // For the metadata.
  GgufWriter& first() { return *first_; }
  uint64_t MetadataBytes() const override { return first_->Size(); }

 private:
  std::filesystem::path LogPath() const override { return path_.string() + kResumeEnding; }
  std::unique_ptr<TensorFileWriter> NewFile(size_t number, size_t count, size_t items) override;
  void AddItem(TensorFileWriter& file, const Item& item) override;
  uint64_t BytesOf(const Item& item) const override;

  std::filesystem::path path_;
  std::unique_ptr<GgufWriter> first_;
};

// model.safetensors, or model-00001-of-00003.safetensors, in a directory that will be OUTPUT. It goes with
// this unless it was given that name.
class SafetensorsFiles : public OutputFiles {
 public:
  SafetensorsFiles(std::filesystem::path output, std::string format, uint64_t most)
      : OutputFiles(most), output_(std::move(output)), format_(std::move(format)) {}
  ~SafetensorsFiles() override;

  // Gives the directory its name. REQUIRES: Finish() succeeded.
  Status Publish();
  // model.safetensors.index.json; empty where there is one file.
  std::string Index() const;
  // Where the files lie until then.
  std::filesystem::path Directory() const { return output_.string() + kPartEnding; }

 private:
  std::filesystem::path LogPath() const override { return output_.string() + kResumeEnding; }
  Status MakePlace() override;
  std::unique_ptr<TensorFileWriter> NewFile(size_t number, size_t count, size_t items) override;
  void AddItem(TensorFileWriter& file, const Item& item) override;
  uint64_t BytesOf(const Item& item) const override;

  std::filesystem::path output_;
  std::string format_;
  std::vector<std::pair<std::string, std::string>> places_;  // of tensors, their file
  uint64_t bytes_ = 0;
  bool several_ = false, made_ = false;
};

}  // namespace linnet
