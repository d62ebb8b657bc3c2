#include "model/kv_pages.h"

#include <algorithm>
#include <utility>

namespace linnet {

void KvPagePool::Grow(int64_t pages) {
  const std::lock_guard lock(mutex_);
  const int64_t there = static_cast<int64_t>(data_.size()), missing = limit_ + pages - there;
  if (missing > 0) {
    const size_t all = static_cast<size_t>(there + missing);
    AlignedBuffer<uint8_t> segment(static_cast<size_t>(missing * page_bytes_));
    // Room in every list first, so that nothing is half done where there is no memory.
    segments_.reserve(segments_.size() + 1);
    data_.reserve(all);
    holders_.reserve(all);
    back_.reserve(all);
    fresh_.reserve(all);
    for (int64_t p = 0; p < missing; ++p) data_.push_back(segment.data() + p * page_bytes_);
    holders_.resize(all);
    for (int64_t p = missing - 1; p >= 0; --p) fresh_.push_back(static_cast<int32_t>(there + p));
    segments_.push_back(std::move(segment));
  }
  limit_ += pages;
}

void KvPagePool::Shrink(int64_t pages) {
  const std::lock_guard lock(mutex_);
  limit_ -= pages;
}

void KvPagePool::DiscardFree() {
  const std::lock_guard lock(mutex_);
  for (const int32_t page : back_) {
    DiscardToZero(data_[static_cast<size_t>(page)], static_cast<size_t>(page_bytes_));
    fresh_.push_back(page);
  }
  back_.clear();
}

int64_t KvPagePool::InUse() const {
  return static_cast<int64_t>(data_.size()) - static_cast<int64_t>(back_.size() + fresh_.size());
}

int64_t KvPagePool::pages() const {
  const std::lock_guard lock(mutex_);
  return limit_;
}

int64_t KvPagePool::free_pages() const {
  const std::lock_guard lock(mutex_);
  return std::max<int64_t>(limit_ - InUse(), 0);
}

uint64_t KvPagePool::bytes() const {
  const std::lock_guard lock(mutex_);
  uint64_t bytes = 0;
  for (const auto& segment : segments_) bytes += segment.bytes();
  return bytes;
}

int64_t KvPagePool::HeldOnlyBy(std::span<const int32_t> shares) const {
  const std::lock_guard lock(mutex_);
  int64_t pages = 0;
  for (size_t p = 0; p < shares.size(); ++p) pages += shares[p] > 0 && holders_[p] == shares[p];
  return pages;
}

KvPage KvPage::Take(const std::shared_ptr<KvPagePool>& pool) {
  KvPage page = TakeFree(pool);
  while (!page && pool->Reclaim()) page = TakeFree(pool);
  return page;
}

KvPage KvPage::TakeFree(const std::shared_ptr<KvPagePool>& pool) {
  KvPage page;
  bool used = false;
  {
    const std::lock_guard lock(pool->mutex_);
    if (pool->InUse() >= pool->limit_) return page;
    used = !pool->back_.empty();
    std::vector<int32_t>& free = used ? pool->back_ : pool->fresh_;
    page.page_ = free.back();
    free.pop_back();
    pool->holders_[static_cast<size_t>(page.page_)] = 1;
    page.data_ = pool->data_[static_cast<size_t>(page.page_)];
  }
  page.pool_ = pool;
  if (used) std::fill_n(page.data_, pool->page_bytes_, uint8_t{0});
  return page;
}

KvPage::KvPage(const KvPage& other) : pool_(other.pool_), data_(other.data_), page_(other.page_) {
  if (pool_ == nullptr) return;
  const std::lock_guard lock(pool_->mutex_);
  ++pool_->holders_[static_cast<size_t>(page_)];
}

KvPage::KvPage(KvPage&& other) noexcept
    : pool_(std::move(other.pool_)), data_(other.data_), page_(other.page_) {}

KvPage& KvPage::operator=(KvPage other) noexcept {
  std::swap(pool_, other.pool_);
  std::swap(data_, other.data_);
  std::swap(page_, other.page_);
  return *this;
}

KvPage::~KvPage() {
  if (pool_ == nullptr) return;
  const std::lock_guard lock(pool_->mutex_);
  if (--pool_->holders_[static_cast<size_t>(page_)] == 0) pool_->back_.push_back(page_);
}

bool KvPage::alone() const {
  const std::lock_guard lock(pool_->mutex_);
  return pool_->holders_[static_cast<size_t>(page_)] == 1;
}

KvPageRoom::~KvPageRoom() {
  if (pool_ == nullptr) return;
  pool_->Shrink(pages_);
  pool_->DiscardFree();
}

}  // namespace linnet
