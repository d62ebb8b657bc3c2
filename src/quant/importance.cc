#include "quant/importance.h"

#include <bit>
#include <cmath>
#include <cstring>

#include "base/mapped_file.h"
#include "base/write_file.h"
#include "io/gguf.h"
#include "io/gguf_writer.h"
#include "tensor/block_format.h"

namespace linnet {
namespace {

constexpr std::string_view kSums = ".in_sum2", kCounts = ".counts";
constexpr size_t kMaxEntries = size_t{1} << 16;

std::unexpected<Error> Damaged(const std::string& file, const std::string& what) {
  return Fail(ErrorCode::kBadFile, file + ": " + what,
              "it is no importance matrix, or damaged; make it again");
}

bool Usable(const Importance::Entry& entry) {
  for (const float value : entry.squares) {
    if (!std::isfinite(value) || value < 0) return false;
  }
  return std::isfinite(entry.count) && entry.count >= 0 && !entry.squares.empty();
}

std::vector<float> FloatsOf(const Gguf& file, const TensorInfo& tensor) {
  std::vector<uint8_t> scratch;
  std::vector<float> values(static_cast<size_t>(tensor.elements()));
  DecodeRow(Dtype::kF32, file.Bytes(tensor, 0, tensor.bytes, scratch).data(), values);
  return values;
}

// The numbers and texts of the older form, in order.
class DatReader {
 public:
  explicit DatReader(std::span<const uint8_t> bytes) : bytes_(bytes) {}

  bool at_end() const { return bytes_.empty(); }
  // False if the file ends before.
  bool Number(int32_t& value) { return Take(&value, sizeof value); }
  bool Text(std::string& text, int32_t length) {
    if (length < 0 || static_cast<size_t>(length) > bytes_.size()) return false;
    text.resize(static_cast<size_t>(length));
    return Take(text.data(), text.size());
  }
  bool Floats(std::vector<float>& values, int32_t count) {
    if (count < 1 || static_cast<size_t>(count) > bytes_.size() / sizeof(float)) return false;
    values.resize(static_cast<size_t>(count));
    return Take(values.data(), values.size() * sizeof(float));
  }

 private:
  bool Take(void* out, size_t size) {
    if (size > bytes_.size()) return false;
    if (size > 0) std::memcpy(out, bytes_.data(), size);
    bytes_ = bytes_.subspan(size);
    return true;
  }

  std::span<const uint8_t> bytes_;
};

void PutNumber(std::string& out, size_t value) {
  const int32_t number = static_cast<int32_t>(value);
  out.append(reinterpret_cast<const char*>(&number), sizeof number);
}

}  // namespace

void Importance::Set(std::string name, Entry entry) {
  std::vector<float> means(entry.squares.size(), 1.0f);
  if (entry.count > 0) {
    for (size_t i = 0; i < means.size(); ++i) means[i] = entry.squares[i] / entry.count;
  }
  means_.insert_or_assign(name, std::move(means));
  entries_.insert_or_assign(std::move(name), std::move(entry));
}

std::span<const float> Importance::Of(std::string_view name) const {
  auto it = means_.find(name);
  // The table multiplies as the head.
  if (it == means_.end() && name == "token_embd.weight") it = means_.find("output.weight");
  return it == means_.end() ? std::span<const float>() : std::span<const float>(it->second);
}

Result<Importance> Importance::Read(const std::filesystem::path& path) {
  Importance importance;
  importance.path = path.string();
  LINNET_ASSIGN(const MappedFile file, MappedFile::Open(path));
  const std::span<const uint8_t> bytes = file.bytes();
  if (bytes.size() >= 4 && std::memcmp(bytes.data(), "GGUF", 4) == 0) {
    LINNET_TRY(importance.ReadGguf(path));
  } else {
    LINNET_TRY(importance.ReadDat(bytes, importance.path));
  }
  return importance;
}

Status Importance::ReadGguf(const std::filesystem::path& path) {
  LINNET_ASSIGN(const std::unique_ptr<Gguf> file, Gguf::Open(path));
  const GgufMetadata& metadata = file->metadata();
  LINNET_ASSIGN(const auto type, metadata.GetString("general.type"));
  if (type != "imatrix") return Damaged(file->name(), "general.type is not \"imatrix\"");
  LINNET_ASSIGN(const auto names, metadata.GetStrings("imatrix.datasets"));
  datasets.assign(names.begin(), names.end());
  LINNET_ASSIGN(const auto chunk_count, metadata.GetInt("imatrix.chunk_count"));
  LINNET_ASSIGN(const auto chunk_size, metadata.GetInt("imatrix.chunk_size"));
  chunks = static_cast<uint32_t>(chunk_count.value_or(0));
  chunk_tokens = static_cast<uint32_t>(chunk_size.value_or(0));
  for (const TensorInfo& tensor : file->tensors()) {
    if (!tensor.name.ends_with(kSums)) continue;
    const std::string name = tensor.name.substr(0, tensor.name.size() - kSums.size());
    const TensorInfo* counts = file->Find(name + std::string(kCounts));
    if (counts == nullptr || tensor.dtype != Dtype::kF32 || counts->dtype != Dtype::kF32 ||
        counts->elements() != 1) {
      return Damaged(file->name(), "\"" + name + "\" has no count, or one for several experts");
    }
    Entry entry{FloatsOf(*file, tensor), FloatsOf(*file, *counts)[0]};
    if (!Usable(entry)) return Damaged(file->name(), "\"" + name + "\" holds what is no sum of squares");
    Set(name, std::move(entry));
  }
  if (entries_.empty()) return Damaged(file->name(), "it has no entries");
  return {};
}

Status Importance::ReadDat(std::span<const uint8_t> bytes, const std::string& name) {
  DatReader reader(bytes);
  int32_t count = 0;
  if (!reader.Number(count) || count < 1 || static_cast<size_t>(count) > kMaxEntries) {
    return Damaged(name, "it does not begin with a number of entries");
  }
  for (int32_t i = 0; i < count; ++i) {
    int32_t length = 0, calls = 0, values = 0;
    std::string matrix;
    Entry entry;
    if (!reader.Number(length) || !reader.Text(matrix, length) || !reader.Number(calls) ||
        !reader.Number(values) || !reader.Floats(entry.squares, values)) {
      return Damaged(name, "it ends within entry " + std::to_string(i + 1) + " of " + std::to_string(count));
    }
    // They are means times calls.
    entry.count = static_cast<float>(calls > 0 ? calls : 1);
    if (!Usable(entry)) return Damaged(name, "\"" + matrix + "\" holds what is no sum of squares");
    Set(std::move(matrix), std::move(entry));
  }
  int32_t last = 0, length = 0;
  if (reader.Number(last)) chunks = static_cast<uint32_t>(std::max(last, 0));
  std::string dataset;
  if (reader.Number(length) && reader.Text(dataset, length)) datasets = {dataset};
  if (!reader.at_end()) return Damaged(name, "something follows its end");
  return {};
}

Status Importance::Write(const std::filesystem::path& path) const {
  if (path.extension() == ".dat") {
    std::string out;
    PutNumber(out, entries_.size());
    for (const auto& [name, entry] : entries_) {
      PutNumber(out, name.size());
      out += name;
      PutNumber(out, std::max<uint32_t>(chunks, 1));
      PutNumber(out, entry.squares.size());
      for (const float value : entry.squares) {
        const float scaled =
            value / std::max(entry.count, 1.0f) * static_cast<float>(std::max<uint32_t>(chunks, 1));
        out.append(reinterpret_cast<const char*>(&scaled), sizeof scaled);
      }
    }
    PutNumber(out, chunks);
    const std::string dataset = datasets.empty() ? "" : datasets.front();
    PutNumber(out, dataset.size());
    return WriteWholeFile(path, out + dataset);
  }
  GgufWriter writer(path);
  writer.AddString("general.type", "imatrix");
  writer.AddStrings("imatrix.datasets", datasets);
  writer.AddU32("imatrix.chunk_count", chunks);
  writer.AddU32("imatrix.chunk_size", chunk_tokens);
  for (const auto& [name, entry] : entries_) {
    writer.AddTensor(name + std::string(kSums), Dtype::kF32,
                     std::vector<int64_t>{1, static_cast<int64_t>(entry.squares.size())});
    writer.AddTensor(name + std::string(kCounts), Dtype::kF32, std::vector<int64_t>{1, 1});
  }
  LINNET_TRY(writer.Begin());
  const auto bytes = [](const float* values, size_t count) {
    return std::span(reinterpret_cast<const uint8_t*>(values), count * sizeof(float));
  };
  for (const auto& [name, entry] : entries_) {
    LINNET_TRY(writer.Write(bytes(entry.squares.data(), entry.squares.size())));
    LINNET_TRY(writer.Write(bytes(&entry.count, 1)));
  }
  LINNET_ASSIGN(const uint64_t size, writer.Finish());
  static_cast<void>(size);
  return {};
}

}  // namespace linnet
