// One sequence of tokens with its key/value cache.
//
// Invariants:
//  1. The logits of a row depend only on the tokens before it: not on how they were chunked, on other
//     sequences, or on the number of threads; the bits are the same.
//  2. Feeding a single token allocates nothing.
//  3. Results belong to their session: what other sessions of the engine do does not change them.
//
// Thread safety: that of its engine, which one thread at a time may use with all its sessions.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "linnet/error.h"
#include "linnet/export.h"
#include "linnet/options.h"

namespace linnet {

class LINNET_API Session {
 public:
  ~Session();

  // Appends tokens and computes the logits of the last one, which logits() then returns. kInvalidArgument:
  // none, an id out of range, context full (says by how much); these leave the session as it was. kCancelled,
  // kOutOfMemory, kBadFile (the model's file has changed): length() says how many of them the session holds;
  // it may be 0 where a stopped call had begun to overwrite the window.
  Status Feed(std::span<const int32_t> ids, const FeedHooks& hooks = {});

  // (V) after the soft-cap, of the last token that Feed() was given. Valid until the session is fed,
  // truncated or given a turn; empty before the first and after these two.
  std::span<const float> logits() const;

  int64_t length() const;   // tokens held
  int64_t context() const;  // tokens it can hold

  // Forgets everything from position `length` on. Sliding layers keep a window plus some slack, so only a
  // limited distance can be rolled back: kInvalidArgument says how far; 0 always works.
  Status Truncate(int64_t length);

  struct Impl;  // for Linnet's own floors
  explicit Session(std::unique_ptr<Impl> impl);
  Impl& impl() { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace linnet
