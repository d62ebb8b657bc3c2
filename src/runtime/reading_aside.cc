#include "runtime/reading_aside.h"

#include "base/stopwatch.h"
#include "base/thread_pool.h"

namespace linnet {
namespace {

// Of a part: fewer would use the processor worse, more would keep others waiting.
constexpr int64_t kRows = 256;

}  // namespace

void ReadingAside::Reserve(int64_t rows) {
  if (turn_ != nullptr) return;
  step_.Reserve(engine_.config, rows, 1);
  decoder_.Reserve(rows);
}

Status ReadingAside::Begin(Turn& turn, const SequenceRows& piece) {
  step_.Clear();
  LINNET_TRY(step_.Add(piece));
  const ThreadPool::Lease lease(engine_.pool);
  decoder_.Begin(step_);
  turn_ = &turn;
  return {};
}

void ReadingAside::Run(double seconds) {
  Turn& turn = *turn_;
  Status intact = engine_.CheckFiles();
  bool more = true;
  if (intact) {
    const ThreadPool::Lease lease(engine_.pool);
    const Clock::time_point begin = Clock::now();
    double passed = 0;
    do {
      more = decoder_.RunPart(kRows);
      part_seconds_ = SecondsSince(begin) - passed;
      passed += part_seconds_;
    } while (more && passed + part_seconds_ <= seconds && !turn.impl().cancelled());
    intact = engine_.CheckFiles();
  }
  if (!intact) {
    Drop();
    return turn.impl().Fail(intact.error());
  }
  if (more) return;
  turn_ = nullptr;
  turn.impl().FailUnless([&]() -> Status {
    turn.impl().Take({step_.hidden(0), step_.logits(0), 0});
    return {};
  });
}

void ReadingAside::Drop() {
  step_.TakeBack();
  turn_ = nullptr;
}

}  // namespace linnet
