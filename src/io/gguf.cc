#include "io/gguf.h"

#include <bit>
#include <cstring>

#include <fmt/format.h>

#include "base/checked_math.h"

namespace linnet {
namespace {

constexpr int64_t kMaxAlignment = 65536;
constexpr size_t kMaxKeyBytes = 65535;  // the format's own limit
constexpr size_t kMaxNameBytes = 1024;
constexpr int kMaxArrayDepth = 4;
constexpr int64_t kMaxSplits = 1000;
constexpr uint64_t kMinTensorBytes = 8 + 4 + 4 + 8;  // an info without name and dimensions
constexpr uint64_t kMinPairBytes = 8 + 4 + 1;
constexpr uint64_t kFirstForkType = 97;  // numbers that forks of ggml gave to types of their own
constexpr const char* kDamaged = "the file is cut off or damaged: copy or download it again";

// A position in the file that never leaves it. `what` names what was being read, for the message.
class Cursor {
 public:
  explicit Cursor(std::span<const uint8_t> bytes, uint64_t position = 0)
      : bytes_(bytes), position_(position) {}

  uint64_t position() const { return position_; }
  uint64_t left() const { return bytes_.size() - position_; }

  Result<std::span<const uint8_t>> Take(uint64_t length, std::string_view what) {
    if (length > left()) {
      return Fail(
          ErrorCode::kBadFile,
          fmt::format("{}: {} bytes wanted at offset {}, {} are left", what, length, position_, left()),
          kDamaged);
    }
    const auto taken = bytes_.subspan(position_, length);
    position_ += length;
    return taken;
  }

  Result<uint64_t> Number(uint64_t size, std::string_view what) {
    LINNET_ASSIGN(const auto bytes, Take(size, what));
    return LoadLittle(bytes.data(), size);
  }

  Result<std::string_view> String(std::string_view what) {
    LINNET_ASSIGN(const uint64_t length, Number(8, what));
    LINNET_ASSIGN(const auto bytes, Take(length, what));
    return std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }

 private:
  std::span<const uint8_t> bytes_;
  uint64_t position_;
};

Result<GgufType> ReadType(Cursor& cursor, std::string_view key) {
  LINNET_ASSIGN(const uint64_t type, cursor.Number(4, key));
  if (type > static_cast<uint64_t>(GgufType::kF64)) {
    return Fail(ErrorCode::kBadFile, fmt::format("\"{}\" has the unknown value type {}", key, type),
                kDamaged);
  }
  return static_cast<GgufType>(type);
}

// Steps over `count` elements.
Status SkipElements(Cursor& cursor, GgufType type, uint64_t count, std::string_view key, int depth) {
  if (const uint64_t size = GgufScalarBytes(type); size > 0) {
    const std::optional<uint64_t> bytes = CheckedMul(size, count);
    if (!bytes || *bytes > cursor.left()) {
      return Fail(ErrorCode::kBadFile,
                  fmt::format("\"{}\" claims {} elements, {} bytes are left", key, count, cursor.left()),
                  kDamaged);
    }
    LINNET_TRY(cursor.Take(*bytes, key));
    return {};
  }
  if (count > cursor.left() / 8) {  // a length or a header each
    return Fail(ErrorCode::kBadFile,
                fmt::format("\"{}\" claims {} elements, {} bytes are left", key, count, cursor.left()),
                kDamaged);
  }
  if (type == GgufType::kArray && depth >= kMaxArrayDepth) {
    return Fail(ErrorCode::kBadFile,
                fmt::format("\"{}\" nests arrays more than {} deep", key, kMaxArrayDepth), kDamaged);
  }
  for (uint64_t i = 0; i < count; ++i) {
    if (type == GgufType::kString) {
      LINNET_TRY(cursor.String(key));
      continue;
    }
    LINNET_ASSIGN(const GgufType inner, ReadType(cursor, key));
    LINNET_ASSIGN(const uint64_t inner_count, cursor.Number(8, key));
    LINNET_TRY(SkipElements(cursor, inner, inner_count, key, depth + 1));
  }
  return {};
}

Result<GgufValue> ReadValue(Cursor& cursor, std::span<const uint8_t> file, std::string_view key) {
  GgufValue value;
  LINNET_ASSIGN(value.type, ReadType(cursor, key));
  if (value.type == GgufType::kArray) {
    value.is_array = true;
    LINNET_ASSIGN(value.type, ReadType(cursor, key));
    LINNET_ASSIGN(value.count, cursor.Number(8, key));
  }
  const uint64_t begin = cursor.position();
  LINNET_TRY(SkipElements(cursor, value.type, value.count, key, 1));
  value.bytes = file.subspan(begin, cursor.position() - begin);
  return value;
}

struct RawTensor {
  TensorInfo info;
  uint64_t offset = 0;  // from the start of the data
};

Result<RawTensor> ReadTensorInfo(Cursor& cursor) {
  RawTensor raw;
  LINNET_ASSIGN(const std::string_view name, cursor.String("tensor name"));
  if (name.empty() || name.size() > kMaxNameBytes) {
    return Fail(ErrorCode::kBadFile, fmt::format("a tensor name of {} bytes", name.size()), kDamaged);
  }
  raw.info.name = name;
  LINNET_ASSIGN(const uint64_t dimensions, cursor.Number(4, raw.info.name));
  if (dimensions > kMaxDimensions) {
    return Fail(ErrorCode::kBadFile, fmt::format("tensor \"{}\" has {} dimensions", name, dimensions),
                kDamaged);
  }
  raw.info.shape.resize(dimensions);
  for (uint64_t i = 0; i < dimensions; ++i) {
    LINNET_ASSIGN(const uint64_t size, cursor.Number(8, raw.info.name));
    if (size > kMaxElements) {
      return Fail(ErrorCode::kBadFile, fmt::format("tensor \"{}\" has a dimension of {}", name, size),
                  kDamaged);
    }
    raw.info.shape[dimensions - 1 - i] = static_cast<int64_t>(size);  // the file's order is innermost first
  }
  LINNET_ASSIGN(const uint64_t type, cursor.Number(4, raw.info.name));
  raw.info.packed = type >= kGgufPackedType && type - kGgufPackedType < 256;
  const std::optional<Dtype> dtype =
      DtypeFromGgml(static_cast<uint32_t>(raw.info.packed ? type - kGgufPackedType : type));
  if (!dtype) {
    const std::string_view known = type <= UINT32_MAX ? GgmlTypeName(static_cast<uint32_t>(type)) : "";
    const std::string format = known.empty() ? fmt::format("{}, which is {}", type,
                                                           type >= kFirstForkType && type < kGgufPackedType
                                                               ? "of a fork of ggml's own"
                                                               : "not known")
                                             : fmt::format("{} ({}), which is not read", type, known);
    return Fail(ErrorCode::kUnsupported, fmt::format("tensor \"{}\" has the number format {}", name, format),
                "take a file in the types that docs/formats.md lists");
  }
  raw.info.dtype = *dtype;
  const auto bytes =
      raw.info.packed ? PackedBytes(*dtype, raw.info.shape) : TensorBytes(*dtype, raw.info.shape);
  if (!bytes) return Prefixed(fmt::format("tensor \"{}\"", name), bytes.error());
  raw.info.bytes = *bytes;
  LINNET_ASSIGN(raw.offset, cursor.Number(8, raw.info.name));
  return raw;
}

// Checks magic and version; leaves the cursor at the counts.
Result<uint32_t> ReadVersion(Cursor& cursor, std::span<const uint8_t> bytes) {
  if (bytes.size() < 24 || std::memcmp(bytes.data(), "GGUF", 4) != 0) {
    return Fail(ErrorCode::kBadFile,
                bytes.empty() ? "the file is empty" : fmt::format("not a GGUF file ({} bytes)", bytes.size()),
                "give a .gguf file, or a directory with config.json and model.safetensors");
  }
  LINNET_TRY(cursor.Take(4, "magic"));
  LINNET_ASSIGN(const uint64_t version, cursor.Number(4, "version"));
  if (version != 2 && version != 3) {
    const bool swapped = version == 0x02000000 || version == 0x03000000;
    return Fail(ErrorCode::kUnsupported,
                fmt::format("GGUF version {}{}", version, swapped ? " (big-endian)" : ""),
                "versions 2 and 3, little-endian, can be read: convert the file again");
  }
  return static_cast<uint32_t>(version);
}

// The path of part `wanted` of `count`, given the path of part `number`; parts count from 0, names from
// 00001.
Result<std::filesystem::path> SplitPath(const std::filesystem::path& path, int64_t number, int64_t wanted,
                                        int64_t count) {
  if (count > kMaxSplits || number < 0 || number >= count) {
    return Fail(ErrorCode::kBadFile, fmt::format("split.no is {} and split.count {}", number, count),
                fmt::format("at most {} parts are accepted", kMaxSplits));
  }
  const std::string name = path.filename().string();
  const std::string ending = fmt::format("-{:05}-of-{:05}.gguf", number + 1, count);
  if (!name.ends_with(ending)) {
    return Fail(ErrorCode::kUnsupported,
                fmt::format("is part {} of {}, but its name does not end in {}", number + 1, count, ending),
                "keep the parts' original names, side by side");
  }
  const std::string stem = name.substr(0, name.size() - ending.size());
  return path.parent_path() / fmt::format("{}-{:05}-of-{:05}.gguf", stem, wanted + 1, count);
}

// Why a part of a split file could not be opened.
std::unexpected<Error> MissingPart(Error error, int64_t part, int64_t count) {
  if (error.code == ErrorCode::kNotFound) {
    error.hint = fmt::format("part {} of {} is missing: put it beside the others", part + 1, count);
  }
  return std::unexpected(std::move(error));
}

}  // namespace

Status Gguf::CheckPackedLayout() const {
  LINNET_ASSIGN(const std::optional<std::string_view> layout, metadata_.GetString(kGgufPackedLayout));
  if (!layout || *layout == kPackedLayout) return {};
  return Fail(ErrorCode::kUnsupported,
              fmt::format("is packed as \"{}\", for another processor or version; this program reads \"{}\"",
                          *layout, kPackedLayout),
              "pack it again from the original: linnet convert ORIGINAL OUT.gguf --pack");
}

Status Gguf::ReadPart(std::span<const uint8_t> bytes) {
  Cursor cursor(bytes);
  LINNET_ASSIGN(const uint32_t version, ReadVersion(cursor, bytes));
  LINNET_ASSIGN(const uint64_t tensor_count, cursor.Number(8, "tensor count"));
  LINNET_ASSIGN(const uint64_t pair_count, cursor.Number(8, "metadata count"));
  if (pair_count > cursor.left() / kMinPairBytes || tensor_count > cursor.left() / kMinTensorBytes) {
    return Fail(ErrorCode::kBadFile,
                fmt::format("{} metadata keys and {} tensors are claimed in a file of {} bytes", pair_count,
                            tensor_count, bytes.size()),
                kDamaged);
  }
  GgufMetadata metadata;
  for (uint64_t i = 0; i < pair_count; ++i) {
    LINNET_ASSIGN(const std::string_view key, cursor.String(fmt::format("metadata key {}", i)));
    if (key.size() > kMaxKeyBytes) return Fail(ErrorCode::kBadFile, "a metadata key is too long", kDamaged);
    LINNET_ASSIGN(const GgufValue value, ReadValue(cursor, bytes, key));
    if (!metadata.Add(key, value)) {
      return Fail(ErrorCode::kBadFile, fmt::format("the key \"{}\" occurs twice", key), kDamaged);
    }
  }
  LINNET_ASSIGN(const std::optional<int64_t> alignment, metadata.GetInt("general.alignment"));
  if (alignment && (*alignment < 1 || *alignment > kMaxAlignment ||
                    !std::has_single_bit(static_cast<uint64_t>(*alignment)))) {
    return Fail(ErrorCode::kBadFile, fmt::format("general.alignment is {}", *alignment),
                fmt::format("a power of two up to {} is expected", kMaxAlignment));
  }
  if (version_ == 0) {
    version_ = version;
    metadata_ = std::move(metadata);
    LINNET_TRY(CheckPackedLayout());  // before the tensors: another layout may have other types
  }
  return ReadTensors(bytes, cursor.position(), tensor_count,
                     alignment ? static_cast<uint64_t>(*alignment) : kGgufAlignment);
}

Status Gguf::ReadTensors(std::span<const uint8_t> bytes, uint64_t position, uint64_t count,
                         uint64_t alignment) {
  Cursor cursor(bytes, position);
  std::vector<RawTensor> raws;
  for (uint64_t i = 0; i < count; ++i) {
    LINNET_ASSIGN(RawTensor raw, ReadTensorInfo(cursor));
    raws.push_back(std::move(raw));
  }
  const uint64_t data_begin = (cursor.position() + alignment - 1) / alignment * alignment;
  for (RawTensor& raw : raws) {
    const std::optional<uint64_t> begin = CheckedAdd(raw.offset, data_begin);
    if (!begin || raw.offset % alignment != 0) {
      return Fail(ErrorCode::kBadFile,
                  fmt::format("tensor \"{}\": offset {} is not a multiple of {}", raw.info.name, raw.offset,
                              alignment),
                  kDamaged);
    }
    if (raw.info.packed &&
        (metadata_.Get(kGgufPackedLayout) == nullptr || *begin % kGgufPackedAlignment != 0)) {
      return Fail(
          ErrorCode::kBadFile,
          fmt::format("tensor \"{}\" is packed, but {}", raw.info.name,
                      *begin % kGgufPackedAlignment != 0
                          ? fmt::format("begins at {}, no multiple of {}", *begin, kGgufPackedAlignment)
                          : fmt::format("the key {} is missing", kGgufPackedLayout)),
          kDamaged);
    }
    LINNET_TRY(AddTensor(std::move(raw.info), data_begin, *begin));
  }
  return FinishPart();
}

// The first part has been read; reads the others, if there are any.
Status Gguf::OpenSiblings(const std::filesystem::path& path) {
  LINNET_ASSIGN(const std::optional<int64_t> count, metadata_.GetInt("split.count"));
  LINNET_ASSIGN(const std::optional<int64_t> total, metadata_.GetInt("split.tensors.count"));
  if (count.value_or(0) < 2) return {};
  for (int64_t part = 1; part < *count; ++part) {
    LINNET_ASSIGN(const auto sibling, SplitPath(path, 0, part, *count));
    const auto added = AddFile(sibling);
    if (!added) return MissingPart(added.error(), part, *count);
    const auto bytes = *added;
    if (Status status = ReadPart(bytes); !status)
      return Prefixed(sibling.string(), std::move(status).error());
  }
  if (total && *total != static_cast<int64_t>(tensors().size())) {
    return Fail(ErrorCode::kBadFile,
                fmt::format("split.tensors.count is {}, the parts hold {}", *total, tensors().size()),
                "the parts do not belong together");
  }
  return {};
}

Result<std::unique_ptr<Gguf>> Gguf::Open(const std::filesystem::path& path) {
  auto file = std::make_unique<Gguf>();
  file->name_ = path.string();
  const auto prefixed = [&](Error error) { return Prefixed(file->name_, std::move(error)); };
  LINNET_ASSIGN(const auto bytes, file->AddFile(path));
  if (Status status = file->ReadPart(bytes); !status) return prefixed(std::move(status).error());
  const auto number = file->metadata_.GetInt("split.no");
  const auto count = file->metadata_.GetInt("split.count");
  if (!number) return prefixed(number.error());
  if (!count) return prefixed(count.error());
  if (number->value_or(0) != 0 && count->value_or(0) > 1) {  // the metadata is in the first part
    const auto first = SplitPath(path, **number, 0, **count);
    if (!first) return prefixed(first.error());
    file = std::make_unique<Gguf>();
    file->name_ = first->string();
    const auto added = file->AddFile(*first);
    if (!added) return MissingPart(added.error(), 0, **count);
    const auto first_bytes = *added;
    if (Status status = file->ReadPart(first_bytes); !status) return prefixed(std::move(status).error());
  }
  if (Status status = file->OpenSiblings(file->name_); !status) return prefixed(std::move(status).error());
  return file;
}

Result<std::unique_ptr<Gguf>> Gguf::FromBytes(std::span<const uint8_t> bytes, const std::string& name) {
  auto file = std::make_unique<Gguf>();
  file->name_ = name;
  file->AddMemory(bytes);
  if (Status status = file->ReadPart(bytes); !status) return Prefixed(name, std::move(status).error());
  return file;
}

}  // namespace linnet
