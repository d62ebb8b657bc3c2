#include "model/kv_pages.h"

#include <algorithm>
#include <utility>

namespace linnet {

KvPagePool::KvPagePool(int64_t pages, int64_t page_bytes)
    : page_bytes_(page_bytes),
      memory_(static_cast<size_t>(pages * page_bytes)),
      holders_(static_cast<size_t>(pages)) {
  back_.reserve(holders_.size());
}

int64_t KvPagePool::free_pages() const {
  const std::lock_guard lock(mutex_);
  return pages() - used_ + static_cast<int64_t>(back_.size());
}

KvPage KvPage::Take(const std::shared_ptr<KvPagePool>& pool) {
  KvPage page;
  bool used = false;
  {
    const std::lock_guard lock(pool->mutex_);
    used = !pool->back_.empty();
    if (!used && pool->used_ == pool->pages()) return page;
    page.page_ = used ? pool->back_.back() : pool->used_++;
    if (used) pool->back_.pop_back();
    pool->holders_[static_cast<size_t>(page.page_)] = 1;
  }
  page.pool_ = pool;
  if (used) std::fill_n(page.data(), pool->page_bytes_, uint8_t{0});
  return page;
}

KvPage::KvPage(const KvPage& other) : pool_(other.pool_), page_(other.page_) {
  if (pool_ == nullptr) return;
  const std::lock_guard lock(pool_->mutex_);
  ++pool_->holders_[static_cast<size_t>(page_)];
}

KvPage::KvPage(KvPage&& other) noexcept : pool_(std::move(other.pool_)), page_(other.page_) {}

KvPage& KvPage::operator=(KvPage other) noexcept {
  std::swap(pool_, other.pool_);
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

}  // namespace linnet
