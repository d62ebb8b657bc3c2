#include "runtime/scheduler.h"

#include <algorithm>
#include <string>

#include "base/check.h"
#include "base/memory_guard.h"
#include "base/stopwatch.h"
#include "runtime/engine_impl.h"

namespace linnet {
namespace {

// Drafts of all turns of a step: more rows than these cost more than they bring.
constexpr int64_t kDraftRows = kMaxDrafts;

// Of turns and of rows, so that their sums and products stay far from overflow.
constexpr int64_t kMostAtOnce = 1 << 16;

// Of a picture, while nobody writes: who joins or goes need not wait longer.
constexpr double kSecondsAside = 0.05;
constexpr const char* kFewer = "have fewer at once";

// A step in the making: which turn each of its sequences belongs to.
class TurnStep {
 public:
  TurnStep(Engine::Impl& engine, Step& step, const StepTurns& turns, const SchedulerOptions& options)
      : engine_(engine),
        step_(step),
        turns_(turns.all),
        sequences_(turns.in_step),
        share_(turns.share),
        aside_(turns.aside),
        options_(options) {
    step_.Clear();
  }

  void Plan() {
    for (Turn* turn : turns_) writing_ += !turn->done() && !turn->reading();
    for (Turn* turn : turns_) {
      if (!turn->done() && !turn->reading()) AddWriting(*turn);
    }
    int64_t rows = writing_ > 0 ? options_.prompt_rows_beside : options_.prompt_rows;
    if (writing_ > 0 && share_ != nullptr) rows = share_->Rows(writing_, rows);
    measuring_ = rows == 0;
    if (writing_ > 0 && ReadsAside()) rows = (rows + 1) / 2;  // the other half of the time is the picture's
    for (Turn* turn : turns_) {
      if (turn->done() || !turn->reading() || rows <= 0 || IsAside(*turn)) continue;
      rows -= AddReading(*turn, rows);
    }
  }

  void Run() {
    if (step_.sequences() > 0) RunStep();
    if (!ReadsAside() || measuring_) return;
    aside_->Run(writing_ > 0 ? share_->SecondsLeft(writing_, rows_read_) : kSecondsAside);
  }

 private:
  bool IsAside(const Turn& turn) const { return aside_ != nullptr && aside_->turn() == &turn; }
  bool ReadsAside() const { return aside_ != nullptr && aside_->turn() != nullptr; }

  void RunStep() {
    // A step of one turn stops in its middle; one of several is not stopped for one of them.
    const bool alone = step_.sequences() == 1;
    const auto begin = Clock::now();
    const Status done = engine_.RunStep(step_, alone ? sequences_[0]->impl().input.cancel : nullptr, nullptr);
    const double seconds = SecondsSince(begin);
    if (done && share_ != nullptr) share_->Took(writing_, rows_read_, seconds);
    for (size_t i = 0; i < step_.sequences(); ++i) {
      Turn& turn = *sequences_[i];
      if (!done) {
        done.error().code == ErrorCode::kCancelled ? turn.Cancel() : turn.impl().Fail(done.error());
        continue;
      }
      turn.impl().FailUnless([&]() -> Status {
        turn.impl().Take({step_.hidden(i), step_.logits(i), rows_read_ > 0 ? 0 : seconds});
        return {};
      });
    }
  }

  void AddWriting(Turn& turn) {
    const RowLimits limits{.drafts = kDraftRows / writing_, .beside = writing_ - 1};
    turn.impl().FailUnless([&] { return Add(turn, turn.impl().Want(limits)); });
  }

  int64_t AddReading(Turn& turn, int64_t rows) {
    if (aside_ != nullptr && turn.impl().continuation.NextRows({.prompt_rows = rows}) > rows) {
      ReadAside(turn, rows);
      return 0;
    }
    int64_t read = 0;
    turn.impl().FailUnless([&]() -> Status {
      const SequenceRows piece = turn.impl().Want({.prompt_rows = rows});
      LINNET_TRY(Add(turn, piece));
      read = static_cast<int64_t>(piece.ids.size());
      return {};
    });
    rows_read_ += read;
    return read;
  }

  // The next picture begins when the one before has been read.
  void ReadAside(Turn& turn, int64_t rows) {
    if (ReadsAside()) return;
    turn.impl().FailUnless([&] { return aside_->Begin(turn, turn.impl().Want({.prompt_rows = rows})); });
  }

  Status Add(Turn& turn, const SequenceRows& rows) {
    LINNET_TRY(step_.Add(rows));
    sequences_[step_.sequences() - 1] = &turn;
    return {};
  }

  Engine::Impl& engine_;
  Step& step_;
  std::span<Turn* const> turns_;
  std::span<Turn*> sequences_;
  PromptShare* share_;
  ReadingAside* aside_;
  const SchedulerOptions& options_;
  int64_t writing_ = 0, rows_read_ = 0;
  bool measuring_ = false;  // a step without prompts
};

}  // namespace

int64_t WantedRows(int64_t turns) { return turns + kDraftRows; }

StepSize LargestStep(const SchedulerOptions& options, int64_t largest_block) {
  const int64_t wanted = WantedRows(options.turns);
  // A picture is whole, even where one row is left for it; a steady scheduler reads it aside.
  const int64_t block = options.steady ? 0 : largest_block;
  return {std::max(options.prompt_rows, options.prompt_rows_beside) + block + wanted, wanted};
}

void RunTurns(Engine::Impl& engine, Step& step, const StepTurns& turns, const SchedulerOptions& options) {
  for (Turn* turn : turns.all) {
    if (!turn->done() && turn->impl().cancelled()) turn->Cancel();
    if (turns.aside != nullptr && turns.aside->turn() == turn && turn->done()) turns.aside->Drop();
  }
  TurnStep next(engine, step, turns, options);
  next.Plan();
  next.Run();
}

struct LINNET_HIDDEN Scheduler::Impl {
  Impl(Engine& the_engine, const SchedulerOptions& the_options)
      : engine(the_engine.impl()),
        options(the_options),
        in_step(static_cast<size_t>(options.turns)),
        share(options.turns),
        aside(engine) {
    turns.reserve(in_step.size());
    left.reserve(in_step.size());
  }

  // Room for steps with blocks of so many rows. What there was is gone where it fails, also for others that
  // the engine computes for.
  Status Reserve(int64_t block) {
    return WithinMemory("another conversation", kFewer, [&]() -> Status {
      const StepSize size = LargestStep(options, block);
      step.Reserve(engine.config, size.rows, size.wanted);
      engine.decoder->Reserve(size.rows);
      if (options.steady && block > 1) aside.Reserve(block);
      return {};
    });
  }

  Engine::Impl& engine;
  SchedulerOptions options;
  int64_t largest_block = 1;  // of all turns so far
  std::vector<Turn*> turns, left, in_step;
  Step step;
  PromptShare share;
  ReadingAside aside;
};

Scheduler::Scheduler(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Scheduler::Scheduler(Scheduler&&) noexcept = default;
Scheduler& Scheduler::operator=(Scheduler&&) noexcept = default;
Scheduler::~Scheduler() = default;

Result<Scheduler> Scheduler::Create(Engine& engine, const SchedulerOptions& options) {
  const auto [least, most] = std::minmax({options.turns, options.prompt_rows, options.prompt_rows_beside});
  if (least < 1 || most > kMostAtOnce) {
    return Fail(ErrorCode::kInvalidArgument,
                "a scheduler of " + std::to_string(options.turns) + " turns with " +
                    std::to_string(options.prompt_rows) + " and " +
                    std::to_string(options.prompt_rows_beside) + " rows of prompts",
                "give 1 to " + std::to_string(kMostAtOnce) + " for each");
  }
  return WithinMemory("so many conversations", kFewer, [&]() -> Result<Scheduler> {
    return Scheduler(std::make_unique<Impl>(engine, options));
  });
}

bool Scheduler::full() const { return static_cast<int64_t>(impl_->turns.size()) >= impl_->options.turns; }
bool Scheduler::empty() const { return impl_->turns.empty(); }

Status Scheduler::Add(Turn& turn) {
  if (full()) {
    return Fail(ErrorCode::kInvalidArgument,
                "this scheduler has its " + std::to_string(impl_->options.turns) + " turns",
                "wait for one to leave");
  }
  const int64_t block = std::max(impl_->largest_block, turn.impl().continuation.largest_block());
  LINNET_TRY(impl_->Reserve(block));
  impl_->largest_block = block;
  impl_->turns.push_back(&turn);
  return {};
}

void Scheduler::Remove(Turn& turn) {
  if (impl_->aside.turn() == &turn) impl_->aside.Drop();
  std::erase(impl_->turns, &turn);
}

std::span<Turn* const> Scheduler::RunStep() {
  Impl& s = *impl_;
  if (const Status room = s.Reserve(s.largest_block); !room) {
    for (Turn* turn : s.turns) turn->impl().Fail(room.error());
  }
  StepTurns turns{s.turns, s.in_step};
  if (s.options.steady) turns.share = &s.share, turns.aside = &s.aside;
  RunTurns(s.engine, s.step, turns, s.options);
  s.left.clear();
  for (Turn* turn : s.turns) {
    if (turn->done()) s.left.push_back(turn);
  }
  std::erase_if(s.turns, [](const Turn* turn) { return turn->done(); });
  return s.left;
}

}  // namespace linnet
