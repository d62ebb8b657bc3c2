// One sequence of tokens with its key/value cache.
//
// Invariants:
//  1. The logits of a row depend only on the tokens before it: not on how they were chunked, on other
//  sequences, or on
//     the number of threads; the bits are the same.
//  2. Feeding a single token allocates nothing.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "linnet/error.h"
#include "linnet/options.h"

namespace linnet {

struct Prompt;

class Session {
 public:
  ~Session();

  // Appends a prompt (text and media) and computes the logits of its last row, which logits() then returns.
  // An error leaves the session as it was. kInvalidArgument: empty, an id out of range, context full (says by
  // how much).
  Status Feed(const Prompt& prompt, const Progress& progress = {});
  // The same for plain token ids.
  Status Feed(std::span<const int32_t> ids);

  // (V) after the soft-cap, with the model's suppressed rows at -infinity. Valid until the next call.
  std::span<const float> logits() const;

  int64_t length() const;   // tokens held
  int64_t context() const;  // tokens it can hold
  uint64_t cache_bytes() const;

  // Forgets everything from position `length` on. Sliding layers keep a window plus some slack, so only a
  // limited distance can be rolled back: kInvalidArgument says how far; 0 always works.
  Status Truncate(int64_t length);

  struct Impl;
  explicit Session(std::unique_ptr<Impl> impl);
  Impl& impl() { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace linnet
