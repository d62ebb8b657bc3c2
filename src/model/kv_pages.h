// Memory in pages of one size that sequences share: a pool, and shares in its pages.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <utility>
#include <vector>

#include "base/aligned.h"

namespace linnet {

// Pages that may be in use at once, whose address space is reserved before. A page is backed by memory from
// its first use on; pages that were given back are used again first, so that what is resident is the most
// that was in use since DiscardFree(). Thread-safe.
class KvPagePool {
 public:
  // Throws std::bad_alloc.
  KvPagePool(int64_t pages, int64_t page_bytes) : page_bytes_(page_bytes) { Grow(pages); }

  // So many more may be in use. Throws std::bad_alloc; the pool is as before then.
  void Grow(int64_t pages);
  // So many fewer; those that are in use stay. Their address space waits for the next Grow().
  void Shrink(int64_t pages);
  // Gives the memory of free pages back to the system.
  void DiscardFree();

  // Who can give pages back where none is free: returns false when it has none. Allocates nothing. None:
  // empty.
  void SetReclaim(std::function<bool()> reclaim) { reclaim_ = std::move(reclaim); }
  bool Reclaim() const { return reclaim_ && reclaim_(); }

  int64_t pages() const;  // that may be in use
  int64_t page_bytes() const { return page_bytes_; }
  int64_t free_pages() const;
  uint64_t bytes() const;  // reserved
  // Pages of which nobody has more shares than are counted here, by KvPage::index(), and somebody one.
  int64_t HeldOnlyBy(std::span<const int32_t> shares) const;

 private:
  friend class KvPage;

  int64_t InUse() const;

  int64_t page_bytes_;
  std::function<bool()> reclaim_;
  mutable std::mutex mutex_;
  std::vector<AlignedBuffer<uint8_t>> segments_;
  std::vector<uint8_t*> data_;    // of each page
  std::vector<int32_t> holders_;  // of each page
  std::vector<int32_t> back_;     // free pages that have been used; the last goes next
  std::vector<int32_t> fresh_;    // free pages of zeros that no memory backs yet
  int64_t limit_ = 0;
};

// A share in a page. While somebody holds one the page is nobody else's, and its pool lives.
class KvPage {
 public:
  KvPage() = default;  // in none
  // A page of zeros that nobody else holds, or a share in none where the pool has no free one and nobody
  // gives one back. Allocates nothing.
  static KvPage Take(const std::shared_ptr<KvPagePool>& pool);
  KvPage(const KvPage& other);
  KvPage(KvPage&& other) noexcept;
  KvPage& operator=(KvPage other) noexcept;
  ~KvPage();

  explicit operator bool() const { return pool_ != nullptr; }
  const KvPagePool* pool() const { return pool_.get(); }
  uint8_t* data() const { return data_; }
  int32_t index() const { return page_; }  // in its pool
  // Whether nobody else has a share: only then the page may be written.
  bool alone() const;

 private:
  static KvPage TakeFree(const std::shared_ptr<KvPagePool>& pool);

  std::shared_ptr<KvPagePool> pool_;
  uint8_t* data_ = nullptr;
  int32_t page_ = 0;
};

// The right to have so many pages of a pool in use.
class KvPageRoom {
 public:
  KvPageRoom() = default;
  // Throws std::bad_alloc.
  KvPageRoom(std::shared_ptr<KvPagePool> pool, int64_t pages) : pool_(std::move(pool)), pages_(pages) {
    pool_->Grow(pages_);
  }
  KvPageRoom(KvPageRoom&& other) noexcept : pool_(std::move(other.pool_)), pages_(other.pages_) {}
  KvPageRoom& operator=(KvPageRoom&&) = delete;
  ~KvPageRoom();

 private:
  std::shared_ptr<KvPagePool> pool_;
  int64_t pages_ = 0;
};

}  // namespace linnet
