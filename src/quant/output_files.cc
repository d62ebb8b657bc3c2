#include "quant/output_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <system_error>

#include <nlohmann/json.hpp>

#include "base/printable.h"
#include "base/write_file.h"
#include "io/file_tensors.h"

namespace linnet {
namespace {

// How the parts of split files are called everywhere.
std::string PartName(std::string_view stem, size_t number, size_t count, std::string_view ending) {
  return fmt::format("{}-{:05}-of-{:05}{}", stem, number + 1, count, ending);
}

uint64_t BytesOfPart(const ItemPart& part) { return TensorBytes(part.dtype, part.shape).value_or(0); }

}  // namespace

void OutputFiles::Plan(std::span<const Item> items) {
  std::vector<size_t> ends;  // of each file
  uint64_t bytes = 0;
  for (size_t i = 0; i < items.size(); ++i) {
    const uint64_t more = BytesOf(items[i]);
    if (most_ > 0 && bytes > 0 && bytes + more > most_) {
      ends.push_back(i);
      bytes = 0;
    }
    bytes += more;
  }
  ends.push_back(items.size());
  size_t begin = 0;
  for (size_t number = 0; number < ends.size(); ++number) {
    TensorFileWriter& file = *files_.emplace_back(NewFile(number, ends.size(), items.size()));
    for (; begin < ends[number]; ++begin) {
      const size_t first = file.tensors();
      AddItem(file, items[begin]);
      places_.push_back({number, first, file.tensors() - first});
    }
  }
}

std::vector<ConvertedFile> OutputFiles::Files() const {
  std::vector<ConvertedFile> files;
  for (const auto& file : files_) files.push_back({file->path().string(), file->Size()});
  return files;
}

std::string OutputFiles::Headers() const {
  std::string headers;
  for (const auto& file : files_) headers += file->Header();
  return headers;
}

// Of what an earlier run left of an item. Errors: it is not there, or not the same file.
Result<uint64_t> OutputFiles::ChecksumOfItem(const Place& place) {
  const TensorFileWriter& file = *files_[place.file];
  if (!earlier_ || earlier_file_ != place.file) {
    LINNET_ASSIGN(earlier_, MappedFile::Open(file.part()));
    earlier_file_ = place.file;
    earlier_offsets_ = file.Offsets();
    const std::string header = file.Header();
    const std::span<const uint8_t> begin =
        earlier_->bytes().first(std::min(header.size(), earlier_->bytes().size()));
    if (!std::ranges::equal(header, begin, {}, [](char c) { return static_cast<uint8_t>(c); })) {
      return Fail(ErrorCode::kBadFile, file.part().string() + " is another file");
    }
  }
  Checksum checksum;
  for (size_t tensor = place.first; tensor < place.first + place.count; ++tensor) {
    const uint64_t begin = earlier_offsets_[tensor], size = file.SizeOf(tensor);
    if (begin + size > earlier_->bytes().size()) return Fail(ErrorCode::kBadFile, "the file is too short");
    checksum.Add(earlier_->bytes().subspan(begin, size));
    earlier_->Forget(begin, size);
  }
  return checksum.value();
}

Status OutputFiles::CheckRoom() const {
  uint64_t needed = 0, there = 0;
  std::error_code error;
  for (const auto& file : files_) {
    needed += file->Size();
    const uint64_t size = std::filesystem::file_size(file->part(), error);
    if (!error) there += size;
  }
  std::filesystem::path directory = std::filesystem::absolute(LogPath(), error).parent_path();
  const std::filesystem::space_info space = std::filesystem::space(directory, error);
  if (error || space.available + there >= needed) return {};
  return Fail(ErrorCode::kBadFile,
              fmt::format("the output takes {}, in {} there is room for {}", HumanBytes(needed - there),
                          directory.string(), HumanBytes(space.available)),
              "make room, or choose another place");
}

Result<std::vector<EncodingLoss>> OutputFiles::Begin(const std::string& made_of) {
  LINNET_ASSIGN(log_, ResumeLog::Open(LogPath(), made_of));
  LINNET_TRY(MakePlace());
  std::vector<EncodingLoss> losses;
  std::vector<size_t> tensors(files_.size(), 0);  // that are there
  for (const ResumeLog::Entry& entry : log_->entries()) {
    if (losses.size() == places_.size()) break;
    const Place& place = places_[losses.size()];
    const Result<uint64_t> checksum = ChecksumOfItem(place);
    if (!checksum || *checksum != entry.checksum) break;
    losses.push_back(entry.loss);
    tensors[place.file] += place.count;
  }
  earlier_.reset();
  checksum_.emplace();
  LINNET_TRY(log_->Keep(losses.size()));
  LINNET_TRY(CheckRoom());
  for (; begun_ < files_.size() && tensors[begun_] > 0; ++begun_) {
    LINNET_TRY(files_[begun_]->Begin(tensors[begun_]));
  }
  return losses;
}

Status OutputFiles::Write(std::span<const uint8_t> bytes) {
  if (begun_ == 0 || files_[begun_ - 1]->complete()) {
    LINNET_TRY(files_[begun_++]->Begin());
  }
  checksum_->Add(bytes);
  return files_[begun_ - 1]->Write(bytes);
}

Status OutputFiles::EndItem(const EncodingLoss& loss) {
  const uint64_t checksum = checksum_->value();
  checksum_.emplace();
  LINNET_TRY(files_[begun_ - 1]->Flush());  // what is said to be complete has left this program
  return log_->Add({checksum, loss});
}

Status OutputFiles::Finish() {
  for (; begun_ < files_.size(); ++begun_) {
    LINNET_TRY(files_[begun_]->Begin());  // without tensors
  }
  for (const auto& file : files_) {
    LINNET_ASSIGN(const uint64_t size, file->Finish());
    static_cast<void>(size);
  }
  return {};
}

std::unique_ptr<TensorFileWriter> GgufFiles::NewFile(size_t number, size_t count, size_t items) {
  auto file = number == 0 ? std::move(first_) : std::make_unique<GgufWriter>(path_);
  std::filesystem::path path = path_;
  if (count > 1) path.replace_filename(PartName(path_.stem().string(), number, count, ".gguf"));
  file->MoveTo(path, path.string() + kPartEnding);
  if (count == 1) return file;
  file->AddU16("split.no", static_cast<uint16_t>(number));
  file->AddU16("split.count", static_cast<uint16_t>(count));
  file->AddI32("split.tensors.count", static_cast<int32_t>(items));
  return file;
}

void GgufFiles::AddItem(TensorFileWriter& file, const Item& item) {
  static_cast<GgufWriter&>(file).AddTensor(item.name, item.dtype, item.shape, item.packed);
}

uint64_t GgufFiles::BytesOf(const Item& item) const {
  return (item.packed ? PackedBytes(item.dtype, item.shape) : TensorBytes(item.dtype, item.shape))
      .value_or(0);
}

SafetensorsFiles::~SafetensorsFiles() {
  std::error_code ignored;
  if (made_) std::filesystem::remove_all(Directory(), ignored);
}

Status SafetensorsFiles::MakePlace() {
  LINNET_TRY(MakeDirectory(Directory()));
  made_ = true;
  return {};
}

Status SafetensorsFiles::Publish() {
  std::error_code error;
  std::filesystem::rename(Directory(), output_, error);
  if (error) {
    return Fail(ErrorCode::kBadFile,
                "cannot rename " + Directory().string() + " to " + output_.string() + ": " + error.message());
  }
  made_ = false;
  return {};
}

std::unique_ptr<TensorFileWriter> SafetensorsFiles::NewFile(size_t number, size_t count, size_t /*items*/) {
  several_ = count > 1;
  const std::string name =
      several_ ? PartName("model", number, count, ".safetensors") : std::string("model.safetensors");
  auto file = std::make_unique<SafetensorsWriter>(Directory() / name, format_);
  file->MoveTo(Directory() / name, Directory() / (name + kPartEnding));
  return file;
}

void SafetensorsFiles::AddItem(TensorFileWriter& file, const Item& item) {
  for (const ItemPart& part : item.parts) {
    static_cast<SafetensorsWriter&>(file).AddTensor(part.name, part.dtype, part.shape);
    places_.emplace_back(part.name, file.path().filename().string());
    bytes_ += BytesOfPart(part);
  }
}

uint64_t SafetensorsFiles::BytesOf(const Item& item) const {
  uint64_t bytes = 0;
  for (const ItemPart& part : item.parts) bytes += BytesOfPart(part);
  return bytes;
}

std::string SafetensorsFiles::Index() const {
  if (!several_) return "";
  nlohmann::ordered_json json;
  json["metadata"]["total_size"] = bytes_;
  for (const auto& [tensor, file] : places_) json["weight_map"][tensor] = file;
  return json.dump(2) + "\n";
}

}  // namespace linnet
