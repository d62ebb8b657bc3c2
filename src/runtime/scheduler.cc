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

// Runs what may find no memory for one turn; the turn fails then.
template <typename Body>
void ForTurn(Turn& turn, const Body& body) {
  const Status done = WithinMemory("an answer", "shorten the prompt, or close other programs", body);
  if (!done) turn.Fail(done.error());
}

// A step in the making: which turn each of its sequences belongs to.
class TurnStep {
 public:
  TurnStep(Engine::Impl& engine, Step& step, const StepTurns& turns, const SchedulerOptions& options)
      : engine_(engine), step_(step), turns_(turns.all), sequences_(turns.in_step), options_(options) {
    step_.Clear();
  }

  void Plan() {
    for (Turn* turn : turns_) writing_ += !turn->done() && !turn->reading();
    for (Turn* turn : turns_) {
      if (!turn->done() && !turn->reading()) AddWriting(*turn);
    }
    int64_t rows = writing_ > 0 ? options_.prompt_rows_beside : options_.prompt_rows;
    for (Turn* turn : turns_) {
      if (!turn->done() && turn->reading() && rows > 0) rows -= AddReading(*turn, rows);
    }
  }

  void Run() {
    if (step_.sequences() == 0) return;
    // A step of one turn stops in its middle; one of several is not stopped for one of them.
    const bool alone = step_.sequences() == 1;
    const auto begin = Clock::now();
    const Status done = engine_.RunStep(step_, alone ? sequences_[0]->cancel_flag() : nullptr, nullptr);
    const double seconds = SecondsSince(begin);
    for (size_t i = 0; i < step_.sequences(); ++i) {
      Turn& turn = *sequences_[i];
      if (!done) {
        done.error().code == ErrorCode::kCancelled ? turn.Cancel() : turn.Fail(done.error());
        continue;
      }
      ForTurn(turn, [&]() -> Status {
        turn.Take({step_.hidden(i), step_.logits(i), reads_ ? 0 : seconds});
        return {};
      });
    }
  }

 private:
  void AddWriting(Turn& turn) {
    const RowLimits limits{.drafts = kDraftRows / writing_, .beside = writing_ - 1};
    ForTurn(turn, [&] { return Add(turn, turn.Want(limits)); });
  }

  int64_t AddReading(Turn& turn, int64_t rows) {
    int64_t read = 0;
    ForTurn(turn, [&]() -> Status {
      const SequenceRows piece = turn.Want({.prompt_rows = rows});
      LINNET_TRY(Add(turn, piece));
      read = static_cast<int64_t>(piece.ids.size());
      return {};
    });
    reads_ = reads_ || read > 0;
    return read;
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
  const SchedulerOptions& options_;
  int64_t writing_ = 0;
  bool reads_ = false;
};

}  // namespace

int64_t WantedRows(int64_t turns) { return turns + kDraftRows; }

StepSize LargestStep(const SchedulerOptions& options, int64_t largest_block) {
  const int64_t wanted = WantedRows(options.turns);
  // A picture is whole, even where one row is left for it.
  return {std::max(options.prompt_rows, options.prompt_rows_beside) + largest_block + wanted, wanted};
}

void RunTurns(Engine::Impl& engine, Step& step, const StepTurns& turns, const SchedulerOptions& options) {
  for (Turn* turn : turns.all) {
    if (!turn->done() && turn->cancelled()) turn->Cancel();
  }
  TurnStep next(engine, step, turns, options);
  next.Plan();
  next.Run();
}

Result<Scheduler> Scheduler::Create(Engine& engine, const SchedulerOptions& options) {
  if (options.turns < 1 || options.prompt_rows < 1 || options.prompt_rows_beside < 1) {
    return Fail(ErrorCode::kInvalidArgument,
                "a scheduler of " + std::to_string(options.turns) + " turns with " +
                    std::to_string(options.prompt_rows) + " and " +
                    std::to_string(options.prompt_rows_beside) + " rows of prompts",
                "each counts from 1");
  }
  Scheduler scheduler(engine, options);
  return WithinMemory("so many conversations", "have fewer at once", [&]() -> Result<Scheduler> {
    scheduler.turns_.reserve(static_cast<size_t>(options.turns));
    scheduler.left_.reserve(static_cast<size_t>(options.turns));
    scheduler.in_step_.resize(static_cast<size_t>(options.turns));
    return std::move(scheduler);
  });
}

Status Scheduler::Add(Turn& turn) {
  LINNET_CHECK(!full());
  return WithinMemory("another conversation", "have fewer at once", [&]() -> Status {
    const StepSize size = LargestStep(options_, turn.largest_block());
    step_->Reserve(engine_.impl().config, size.rows, size.wanted);
    engine_.impl().decoder->Reserve(size.rows);
    turns_.push_back(&turn);
    return {};
  });
}

void Scheduler::Remove(Turn& turn) { std::erase(turns_, &turn); }

std::span<Turn* const> Scheduler::RunStep() {
  RunTurns(engine_.impl(), *step_, {turns_, in_step_}, options_);
  left_.clear();
  for (Turn* turn : turns_) {
    if (turn->done()) left_.push_back(turn);
  }
  std::erase_if(turns_, [](const Turn* turn) { return turn->done(); });
  return left_;
}

}  // namespace linnet
