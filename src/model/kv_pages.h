// Memory in pages of one size that sequences share: a pool, and shares in its pages.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "base/aligned.h"

namespace linnet {

// Address space for a fixed number of pages, reserved at once. A page is backed by memory from its first use
// on; the pages that were given back are used again first, so that what is resident is the most that was ever
// in use. Thread-safe.
class KvPagePool {
 public:
  // Throws std::bad_alloc.
  KvPagePool(int64_t pages, int64_t page_bytes);

  int64_t pages() const { return static_cast<int64_t>(holders_.size()); }
  int64_t page_bytes() const { return page_bytes_; }
  int64_t free_pages() const;
  uint64_t bytes() const { return memory_.bytes(); }  // reserved

 private:
  friend class KvPage;

  int64_t page_bytes_;
  AlignedBuffer<uint8_t> memory_;
  mutable std::mutex mutex_;
  std::vector<int32_t> holders_;  // of each page
  std::vector<int32_t> back_;     // free pages that have been used; the last goes next
  int32_t used_ = 0;              // pages from here on have never been used
};

// A share in a page. While somebody holds one the page is nobody else's, and its pool lives.
class KvPage {
 public:
  KvPage() = default;  // in none
  // A page of zeros that nobody else holds, or a share in none where the pool has no free one. Allocates
  // nothing.
  static KvPage Take(const std::shared_ptr<KvPagePool>& pool);
  KvPage(const KvPage& other);
  KvPage(KvPage&& other) noexcept;
  KvPage& operator=(KvPage other) noexcept;
  ~KvPage();

  explicit operator bool() const { return pool_ != nullptr; }
  const KvPagePool* pool() const { return pool_.get(); }
  uint8_t* data() const { return pool_->memory_.data() + page_ * pool_->page_bytes_; }
  // Whether nobody else has a share: only then the page may be written.
  bool alone() const;

 private:
  std::shared_ptr<KvPagePool> pool_;
  int32_t page_ = 0;
};

}  // namespace linnet
