#include "io/safetensors.h"

#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/checked_math.h"
#include "io/json.h"

namespace linnet {
namespace {

using nlohmann::json;

constexpr uint64_t kMaxHeader = 100'000'000;  // the limit of the format's own library
constexpr size_t kMaxShards = 4096;

std::unexpected<Error> BadTensor(const std::string& name, const std::string& what) {
  return Fail(ErrorCode::kBadFile, fmt::format("tensor \"{}\": {}", name, what), "the file is damaged");
}

Result<std::vector<int64_t>> ReadShape(const json& entry, const std::string& name) {
  const auto found = entry.find("shape");
  if (found == entry.end() || !found->is_array()) return BadTensor(name, "\"shape\" is not a list");
  if (found->size() > kMaxDimensions) return BadTensor(name, fmt::format("has {} dimensions", found->size()));
  std::vector<int64_t> shape;
  for (const json& d : *found) {
    if (!d.is_number_unsigned() || d.get<uint64_t>() > kMaxElements) {
      return BadTensor(name, "\"shape\" holds something that is not a size");
    }
    shape.push_back(static_cast<int64_t>(d.get<uint64_t>()));
  }
  return shape;
}

// Reads one entry of the header. `begin` is relative to the first byte after it.
Result<TensorInfo> ReadEntry(const std::string& name, const json& entry, uint64_t& begin) {
  if (!entry.is_object()) return BadTensor(name, "its entry is not an object");
  const auto dtype_text = entry.find("dtype");
  if (dtype_text == entry.end() || !dtype_text->is_string()) return BadTensor(name, "\"dtype\" is missing");
  const auto& dtype_name = dtype_text->get_ref<const std::string&>();
  const std::optional<Dtype> dtype = DtypeFromSafetensors(dtype_name);
  if (!dtype) {
    return Fail(
        ErrorCode::kUnsupported, fmt::format("tensor \"{}\" has the number format \"{}\"", name, dtype_name),
        "take the bf16 checkpoint or a GGUF file: F32, F16, BF16, F8_E4M3 and whole numbers can be read");
  }
  TensorInfo info{.name = name, .dtype = *dtype};
  LINNET_ASSIGN(info.shape, ReadShape(entry, name));
  const auto bytes = TensorBytes(*dtype, info.shape);
  if (!bytes) return BadTensor(name, bytes.error().what);
  const auto offsets = entry.find("data_offsets");
  if (offsets == entry.end() || !offsets->is_array() || offsets->size() != 2 ||
      !(*offsets)[0].is_number_unsigned() || !(*offsets)[1].is_number_unsigned()) {
    return BadTensor(name, "\"data_offsets\" is not a pair of offsets");
  }
  begin = (*offsets)[0].get<uint64_t>();
  const uint64_t end = (*offsets)[1].get<uint64_t>();
  if (end < begin || end - begin != *bytes) {
    return BadTensor(name, fmt::format("\"data_offsets\" [{}, {}] do not hold the {} bytes of {} {}", begin,
                                       end, *bytes, dtype_name, ShapeText(info.shape)));
  }
  info.bytes = *bytes;
  return info;
}

uint64_t LoadU64(const uint8_t* p) {
  uint64_t value = 0;
  for (int i = 7; i >= 0; --i) value = value << 8 | p[i];
  return value;
}

}  // namespace

Status Safetensors::ReadPart(std::span<const uint8_t> bytes) {
  if (bytes.size() < 8) {
    return Fail(ErrorCode::kBadFile,
                fmt::format("{} bytes are too short for a safetensors file", bytes.size()),
                "the file is empty or cut off: copy or download it again");
  }
  const uint64_t header = LoadU64(bytes.data());
  if (header > kMaxHeader || header > bytes.size() - 8) {
    return Fail(ErrorCode::kBadFile,
                fmt::format("the header claims {} bytes, the file has {}", header, bytes.size()),
                "the file is cut off, or not a safetensors file");
  }
  LINNET_ASSIGN(const json root, ParseJson(bytes.subspan(8, header), "header"));
  if (!root.is_object())
    return Fail(ErrorCode::kBadFile, "the header is not a JSON object", "the file is damaged");
  const uint64_t data_begin = 8 + header;
  for (const auto& [name, entry] : root.items()) {
    if (name == "__metadata__") {
      if (!entry.is_object()) continue;
      for (const auto& [key, value] : entry.items()) {
        if (value.is_string()) metadata_[key] = value.get<std::string>();
      }
      continue;
    }
    uint64_t begin = 0;
    LINNET_ASSIGN(TensorInfo info, ReadEntry(name, entry, begin));
    const std::optional<uint64_t> place = CheckedAdd(begin, data_begin);
    if (!place) return BadTensor(name, fmt::format("\"data_offsets\" begin at {}", begin));
    LINNET_TRY(AddTensor(std::move(info), data_begin, *place));
  }
  return FinishPart();
}

Result<std::unique_ptr<Safetensors>> Safetensors::Open(const std::filesystem::path& path) {
  auto file = std::make_unique<Safetensors>();
  LINNET_ASSIGN(const auto bytes, file->AddFile(path));
  if (Status status = file->ReadPart(bytes); !status)
    return Prefixed(path.string(), std::move(status).error());
  return file;
}

Result<std::unique_ptr<Safetensors>> Safetensors::FromBytes(std::span<const uint8_t> bytes,
                                                            const std::string& name) {
  auto file = std::make_unique<Safetensors>();
  file->AddMemory(bytes);
  if (Status status = file->ReadPart(bytes); !status) return Prefixed(name, std::move(status).error());
  return file;
}

Result<std::unique_ptr<Safetensors>> Safetensors::OpenSharded(const std::filesystem::path& index_path) {
  const std::string where = index_path.string();
  LINNET_ASSIGN(const MappedFile index_file, MappedFile::Open(index_path));
  LINNET_ASSIGN(const json index, ParseJson(index_file.bytes(), where));
  const auto map = index.find("weight_map");
  if (map == index.end() || !map->is_object()) {
    return Fail(ErrorCode::kBadFile, where + ": \"weight_map\" is not an object", "the file is damaged");
  }
  std::set<std::string> shards;
  for (const auto& [tensor, shard] : map->items()) {
    // A shard is a plain file name: the index must not reach outside the model's directory.
    const std::string name = shard.is_string() ? shard.get<std::string>() : "";
    if (name.empty() || name.find('/') != name.npos || name.find('\\') != name.npos ||
        name.find('\0') != name.npos || name == "." || name == "..") {
      return Fail(ErrorCode::kBadFile,
                  fmt::format("{}: \"weight_map\" names no plain file for \"{}\"", where, tensor),
                  "the file is damaged");
    }
    shards.insert(name);
  }
  if (shards.empty() || shards.size() > kMaxShards) {
    return Fail(ErrorCode::kBadFile, fmt::format("{}: \"weight_map\" names {} files", where, shards.size()),
                fmt::format("1 to {} are accepted", kMaxShards));
  }
  auto file = std::make_unique<Safetensors>();
  for (const std::string& shard : shards) {
    const std::filesystem::path path = index_path.parent_path() / shard;
    LINNET_ASSIGN(const auto bytes, file->AddFile(path));
    if (Status status = file->ReadPart(bytes); !status)
      return Prefixed(path.string(), std::move(status).error());
  }
  for (const auto& [tensor, shard] : map->items()) {
    if (file->Find(tensor) == nullptr) {
      return Fail(ErrorCode::kBadFile,
                  fmt::format("{}: \"{}\" is not in {}", where, tensor, shard.get<std::string>()),
                  "the index and the shards do not belong together");
    }
  }
  return file;
}

}  // namespace linnet
