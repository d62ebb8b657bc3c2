#include "runtime/session_container.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "runtime/checksum.h"

namespace linnet {
namespace {

static_assert(std::endian::native == std::endian::little, "session files are little-endian");

constexpr std::array<char, 8> kSessionMagic = {'L', 'i', 'n', 'n', 'e', 't', 'S', '\n'};
constexpr uint32_t kSessionVersion = 1;
constexpr uint64_t kHeadBytes = 512, kFirst = 4096, kAlign = 4096;
constexpr size_t kHeadSum = kHeadBytes - sizeof(uint64_t);  // where the head's checksum is

uint64_t AlignedExtent(uint64_t bytes) { return (bytes + kAlign - 1) / kAlign * kAlign; }

bool ExtentBefore(const Extent& a, const Extent& b) { return a.at < b.at; }

}  // namespace

std::unexpected<Error> SessionContainer::Damaged(std::string_view what) const {
  return Fail(ErrorCode::kBadFile, path().string() + ": is damaged: " + std::string(what),
              "put a copy of it in its place, or begin another session with another file");
}

// Nothing where the file is of another kind.
Result<std::optional<SessionContainer::Head>> SessionContainer::ReadHead(std::span<const uint8_t> bytes,
                                                                         uint64_t slot) const {
  const std::span<const uint8_t> at = bytes.subspan(slot * kHeadBytes, kHeadBytes);
  Head head;
  static_assert(sizeof head <= kHeadSum);
  std::memcpy(&head, at.data(), sizeof head);
  if (head.magic != kSessionMagic) return std::optional<Head>();
  if (head.version != kSessionVersion) {
    return Fail(ErrorCode::kUnsupported,
                path().string() + ": is of another version of Linnet (format " +
                    std::to_string(head.version) + ", not " + std::to_string(kSessionVersion) +
                    "), or damaged",
                "go on with the version that wrote it");
  }
  uint64_t sum;
  std::memcpy(&sum, at.data() + kHeadSum, sizeof sum);
  if (sum != ChecksumOf(at.first(kHeadSum))) return Damaged("its head has changed");
  return head;
}

Status SessionContainer::ReadHeads(std::span<const uint8_t> bytes) {
  if (bytes.size() < 2 * kHeadBytes) {
    const bool begins =
        std::ranges::equal(bytes.first(std::min(bytes.size(), kSessionMagic.size())),
                           std::span(kSessionMagic).first(std::min(bytes.size(), kSessionMagic.size())));
    if (begins && !bytes.empty()) return Damaged("it was cut");
    return Fail(ErrorCode::kBadFile,
                path().string() + (bytes.empty() ? ": is empty" : ": is no session of Linnet"),
                "name a session, or a file that is not there yet to begin one");
  }
  LINNET_ASSIGN(const std::optional<Head> a, ReadHead(bytes, 0));
  LINNET_ASSIGN(const std::optional<Head> b, ReadHead(bytes, 1));
  if (!a && !b) {
    return Fail(ErrorCode::kBadFile, path().string() + ": is no session of Linnet",
                "name a session, or a file that is not there yet to begin one");
  }
  if (!a || !b) return Damaged("its head has changed");
  head_ = a->number > b->number ? *a : *b;
  if (std::min(a->number, b->number) + 1 != head_.number) return Damaged("its heads do not belong together");
  const bool longer = bytes.size() > head_.file_bytes;
  if (bytes.size() < head_.file_bytes) return Damaged("it was cut");
  if (longer && head_.saving == 0) return Damaged("something was added to it");
  return {};
}

Result<SessionContainer> SessionContainer::Open(const std::filesystem::path& path, LockedFile::Use use) {
  auto opened = LockedFile::Open(path, use);
  if (!opened && opened.error().code == ErrorCode::kNotFound && use == LockedFile::Use::kWrite) {
    LINNET_ASSIGN(LockedFile begun, LockedFile::Begin(path));
    return SessionContainer(std::move(begun), use);
  }
  LINNET_ASSIGN(LockedFile file, std::move(opened));
  SessionContainer container(std::move(file), use);
  LINNET_ASSIGN(const MappedFile map, container.file_.Map());
  LINNET_TRY(container.ReadHeads(map.bytes()));
  LINNET_ASSIGN(const auto index, container.Checked(map, container.head_.index));
  container.index_.assign(index.begin(), index.end());
  // Not before it is known to be one: a file of another kind is left as it is, also its mode.
  if (use == LockedFile::Use::kWrite) container.file_.RestrictToOwner();
  return container;
}

Result<MappedFile> SessionContainer::Map() const { return file_.Map(); }

Result<std::span<const uint8_t>> SessionContainer::Find(const MappedFile& map, const Extent& extent) const {
  const uint64_t size = std::min<uint64_t>(map.bytes().size(), head_.file_bytes);
  if (extent.at < kFirst || extent.at % kAlign != 0 || extent.at > size || extent.bytes > size - extent.at) {
    return Damaged("a part of it lies outside");
  }
  return map.bytes().subspan(extent.at, extent.bytes);
}

Result<std::span<const uint8_t>> SessionContainer::Checked(const MappedFile& map,
                                                           const Extent& extent) const {
  LINNET_ASSIGN(const auto bytes, Find(map, extent));
  if (ChecksumOf(bytes) != extent.sum) {
    return Damaged("bytes " + std::to_string(extent.at) + " to " + std::to_string(extent.at + extent.bytes) +
                   " are not what was written");
  }
  return bytes;
}

// What lies between the extents, the heads and `end`.
std::vector<Extent> SessionContainer::Gaps(uint64_t end) const {
  std::vector<Extent> gaps;
  uint64_t next = 2 * kHeadBytes;
  const auto add = [&](uint64_t until) {
    if (until > next) gaps.push_back({next, until - next});
  };
  for (const Extent& extent : extents_) {
    add(extent.at);
    next = extent.at + extent.bytes;
  }
  add(end);
  return gaps;
}

Status SessionContainer::CheckBetween() const {
  if (head_.saving != 0) return {};
  for (const Extent& gap : Gaps(head_.file_bytes)) {
    LINNET_ASSIGN(const bool clear, file_.IsClear(gap.at, gap.bytes));
    if (!clear) return Damaged("bytes between its parts have changed");
  }
  return {};
}

Status SessionContainer::SetExtents(std::vector<Extent> extents) {
  LINNET_ASSIGN(const MappedFile map, file_.Map());
  extents.push_back(head_.index);
  for (const Extent& extent : extents) LINNET_TRY(Find(map, extent));
  std::ranges::sort(extents, ExtentBefore);
  for (size_t i = 1; i < extents.size(); ++i) {
    if (extents[i].at < extents[i - 1].at + extents[i - 1].bytes) return Damaged("two parts of it overlap");
  }
  extents_ = std::move(extents);
  LINNET_TRY(CheckBetween());
  if (head_.saving != 0 && use_ == LockedFile::Use::kWrite) (void)ClearBetween();
  return {};
}

Status SessionContainer::WriteHead(Head head) {
  head.magic = kSessionMagic;
  head.version = kSessionVersion;
  head.number = head_.number + 1;
  std::array<uint8_t, kHeadBytes> bytes = {};
  std::memcpy(bytes.data(), &head, sizeof head);
  const uint64_t sum = ChecksumOf(std::span(bytes).first(kHeadSum));
  std::memcpy(bytes.data() + kHeadSum, &sum, sizeof sum);
  LINNET_TRY(file_.Write(head.number % 2 * kHeadBytes, bytes));
  head_ = head;
  return {};
}

Status SessionContainer::BeginSave() {
  end_ = std::max(head_.file_bytes, kFirst);
  free_.clear();
  for (const Extent& gap : Gaps(head_.file_bytes)) {
    const uint64_t at = std::max(AlignedExtent(gap.at), kFirst), end = gap.at + gap.bytes;
    if (at < end) free_.push_back({at, end - at});
  }
  if (empty()) return {};  // a file that is begun is nobody's yet
  Head head = head_;
  head.saving = 1;
  LINNET_TRY(WriteHead(head));
  return file_.Sync();
}

// The first gap that is large enough, or the end. No two extents begin at the same place.
uint64_t SessionContainer::Allocate(uint64_t bytes) {
  const uint64_t wanted = AlignedExtent(std::max<uint64_t>(bytes, 1));
  for (Extent& gap : free_) {
    if (gap.bytes < wanted) continue;
    gap.bytes -= wanted;
    return std::exchange(gap.at, gap.at + wanted);
  }
  return std::exchange(end_, end_ + wanted);
}

Result<Extent> SessionContainer::Put(std::span<const uint8_t> bytes) {
  return Put(bytes.size(), [&](const ByteSink& sink) { return sink(bytes); });
}

Result<Extent> SessionContainer::Put(uint64_t bytes, const std::function<Status(const ByteSink&)>& write) {
  Extent extent{Allocate(bytes), bytes, 0};
  Checksum sum;
  uint64_t at = extent.at;
  LINNET_TRY(write([&](std::span<const uint8_t> piece) -> Status {
    sum.Add(piece);
    LINNET_TRY(file_.Write(at, piece));
    at += piece.size();
    return {};
  }));
  extent.sum = sum.value();
  return extent;
}

Status SessionContainer::Commit(std::string index, std::vector<Extent> extents) {
  Head head = head_;
  LINNET_ASSIGN(head.index, Put({reinterpret_cast<const uint8_t*>(index.data()), index.size()}));
  extents.push_back(head.index);
  std::ranges::sort(extents, ExtentBefore);
  head.file_bytes = AlignedExtent(extents.back().at + extents.back().bytes);
  head.saving = 1;
  const bool first = empty();
  LINNET_TRY(file_.Resize(std::max(end_, head.file_bytes)));
  LINNET_TRY(file_.Sync());
  LINNET_TRY(WriteHead(head));
  index_ = std::move(index);
  extents_ = std::move(extents);
  if (first) LINNET_TRY(WriteHead(head));  // both heads are there from the beginning
  LINNET_TRY(file_.Sync());
  LINNET_TRY(file_.Publish());
  (void)ClearBetween();  // the next save does it where this one cannot
  return {};
}

Status SessionContainer::ClearBetween() {
  for (const Extent& gap : Gaps(head_.file_bytes)) LINNET_TRY(file_.Clear(gap.at, gap.bytes));
  LINNET_TRY(file_.Resize(head_.file_bytes));
  LINNET_TRY(file_.Sync());
  Head head = head_;
  head.saving = 0;
  LINNET_TRY(WriteHead(head));
  return file_.Sync();  // before the next head: the disk must not have that one without this
}

void SessionContainer::GiveUp() {
  if (!empty()) (void)ClearBetween();
}

}  // namespace linnet
