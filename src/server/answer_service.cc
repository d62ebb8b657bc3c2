#include "server/answer_service.h"

#include <algorithm>
#include <utility>

#include "base/memory_guard.h"

namespace linnet {
namespace {

// Of a text whose state is wanted, at once: alone, and while answers wait for it.
constexpr int64_t kStateTokens = 512, kStateTokensBeside = 32;

// Of prompts, beside answers that are written, where so many hardly make these wait.
constexpr int64_t kRowsBeside = 256;

}  // namespace

Result<std::unique_ptr<AnswerService>> AnswerService::Create(Engine& engine,
                                                             const AnswerServiceOptions& options, Post post) {
  LINNET_ASSIGN(Scheduler scheduler,
                Scheduler::Create(
                    engine, {.turns = options.parallel, .prompt_rows_beside = kRowsBeside, .steady = true}));
  std::unique_ptr<AnswerService> service(
      new AnswerService(engine, options, std::move(post), std::move(scheduler)));
  for (int64_t i = 0; i < options.parallel; ++i) {
    LINNET_ASSIGN(std::unique_ptr<AnswerSlot> slot, AnswerSlot::Create(engine, options.session));
    service->slots_.push_back(std::move(slot));
  }
  service->context_ = service->slots_.front()->context();
  service->thread_ = std::thread([raw = service.get()] { raw->Run(); });
  return service;
}

AnswerService::~AnswerService() {
  CancelAll();
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

bool AnswerService::Submit(const StateJobPtr& job) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_ || waiting_count_ + static_cast<int64_t>(states_.size()) >= options_.waiting) return false;
    states_.push_back(job);
  }
  changed_.notify_all();
  return true;
}

bool AnswerService::Submit(const std::vector<AnswerJobPtr>& jobs) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_ || waiting_count_ + static_cast<int64_t>(jobs.size()) > options_.waiting) return false;
    for (const AnswerJobPtr& job : jobs) {
      waiting_[job->request().owner].push_back(job);
      live_.insert(job);
    }
    waiting_count_ += static_cast<int64_t>(jobs.size());
    look_again_ = true;
  }
  changed_.notify_all();
  return true;
}

void AnswerService::Cancel(const AnswerJobPtr& job) {
  job->Cancel();
  {
    const std::lock_guard lock(mutex_);
    look_again_ = true;
  }
  changed_.notify_all();
}

void AnswerService::CancelAll() {
  {
    const std::lock_guard lock(mutex_);
    for (const AnswerJobPtr& job : live_) job->Cancel();
    for (const StateJobPtr& job : states_) job->cancelled = true;
    look_again_ = true;
  }
  changed_.notify_all();
}

AnswerCounts AnswerService::counts() const {
  const std::lock_guard lock(mutex_);
  AnswerCounts counts = counts_;
  counts.waiting = waiting_count_ + static_cast<int64_t>(states_.size());
  return counts;
}

bool AnswerService::idle() const {
  const AnswerCounts now = counts();
  return now.waiting + now.reading + now.writing == 0;
}

void AnswerService::Run() {
  while (true) {
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock,
                    [&] { return stopping_ || look_again_ || !states_.empty() || !scheduler_.empty(); });
      look_again_ = false;
    }
    TakeCancelled();
    ReadStates();
    BeginWaiting();
    if (!scheduler_.empty()) {
      Step();
      continue;
    }
    const std::lock_guard lock(mutex_);
    if (stopping_ && waiting_count_ == 0 && states_.empty()) return;
  }
}

void AnswerService::TakeCancelled() {
  std::vector<AnswerJobPtr> cancelled;
  {
    const std::lock_guard lock(mutex_);
    for (auto& [owner, jobs] : waiting_) {
      std::erase_if(jobs, [&](const AnswerJobPtr& job) {
        if (job->cancelled()) cancelled.push_back(job);
        return job->cancelled().load();
      });
    }
    std::erase_if(waiting_, [](const auto& owner) { return owner.second.empty(); });
    waiting_count_ -= static_cast<int64_t>(cancelled.size());
  }
  for (const AnswerJobPtr& job : cancelled) Told(job, Fail(ErrorCode::kCancelled, "stopped"));
}

// The next owner's behind the last one that was served.
AnswerJobPtr AnswerService::NextWaiting() {
  const std::lock_guard lock(mutex_);
  auto entry = waiting_.upper_bound(last_owner_);
  for (size_t seen = 0; seen < waiting_.size(); ++seen, ++entry) {
    if (entry == waiting_.end()) entry = waiting_.begin();
    auto& jobs = entry->second;
    const auto job = std::ranges::find_if(jobs, [](const auto& one) { return one->may_begin(); });
    if (job == jobs.end()) continue;
    AnswerJobPtr next = std::move(*job);
    jobs.erase(job);
    --waiting_count_;
    last_owner_ = entry->first;
    if (jobs.empty()) waiting_.erase(entry);
    return next;
  }
  return nullptr;
}

void AnswerService::BeginWaiting() {
  const auto is_free = [](const auto& slot) { return !slot->busy(); };
  while (!scheduler_.full() && std::ranges::any_of(slots_, is_free)) {
    AnswerJobPtr job = NextWaiting();
    if (job == nullptr) return;
    Begin(std::move(job));
  }
}

// A piece of the first of those that wait.
void AnswerService::ReadStates() {
  StateJobPtr job;
  {
    const std::lock_guard lock(mutex_);
    if (states_.empty()) return;
    job = states_.front();
  }
  const Result<bool> done = WithinMemory("this text", "send less at once", [&] { return ReadState(*job); });
  if (done && !*done) return;
  if (state_slot_ != nullptr) std::exchange(state_slot_, nullptr)->EndState();
  Result<std::vector<std::vector<float>>> states = std::exchange(state_vectors_, {});
  if (!done) states = std::unexpected(done.error());
  {
    const std::lock_guard lock(mutex_);
    states_.pop_front();
    look_again_ = true;  // another may begin
  }
  post_([job, states = std::move(states)]() mutable { job->on_end(std::move(states)); });
}

// Whether all of its texts have been read; not where it has to wait.
Result<bool> AnswerService::ReadState(StateJob& job) {
  if (job.cancelled) return Fail(ErrorCode::kCancelled, "stopped");
  if (state_slot_ == nullptr) {
    const auto free = std::ranges::find_if(slots_, [](const auto& slot) { return !slot->busy(); });
    if (free == slots_.end()) return false;
    state_slot_ = free->get();
    state_slot_->BeginState(job.texts.front());
  }
  TextState& state = *state_slot_->state();
  LINNET_TRY(state.Read(scheduler_.empty() ? kStateTokens : kStateTokensBeside));
  if (!state.done()) return false;
  state_vectors_.push_back(state.Vector());
  state_slot_->EndState();
  if (state_vectors_.size() == job.texts.size()) return true;
  state_slot_->BeginState(job.texts[state_vectors_.size()]);
  return false;
}

// A free one that holds most of the prompt.
AnswerSlot* AnswerService::BestSlot(const PrefixKey& prompt) {
  AnswerSlot* best = nullptr;
  int64_t most = -1;
  for (const auto& slot : slots_) {
    if (slot->busy()) continue;
    if (const int64_t holds = slot->Holds(prompt); holds > most) best = slot.get(), most = holds;
  }
  return best;
}

void AnswerService::Begin(AnswerJobPtr job) {
  AnswerSlot* slot = BestSlot(*job->request().prepared.key);
  Result<Turn*> turn = slot->Begin(job);
  if (!turn) return Told(job, std::unexpected(turn.error()));
  if (const Status added = scheduler_.Add(**turn); !added) {
    job->Cancel();
    (void)slot->End();
    Told(job, std::unexpected(added.error()));
  }
}

void AnswerService::Step() {
  const std::vector<Turn*> left = [&] {
    const std::span<Turn* const> done = scheduler_.RunStep();
    return std::vector<Turn*>(done.begin(), done.end());
  }();
  int64_t reading = 0, writing = 0;
  for (const auto& slot : slots_) {
    if (slot->turn() == nullptr) continue;
    Tell(*slot);
    if (slot->turn() == nullptr) continue;  // its first call was all that was wanted
    if (std::ranges::find(left, slot->turn()) != left.end()) {
      End(*slot);
    } else {
      ++(slot->turn()->reading() ? reading : writing);
    }
  }
  const std::lock_guard lock(mutex_);
  counts_.reading = reading;
  counts_.writing = writing;
  ++counts_.steps;
}

void AnswerService::Tell(AnswerSlot& slot) {
  const AnswerJobPtr job = slot.job();
  if (!slot.turn()->reading()) job->SetHasRead();
  std::vector<TurnEvent> events = slot.turn()->TakeEvents();
  if (events.empty()) return;
  const bool called = std::ranges::any_of(
      events, [](const TurnEvent& event) { return event.kind == TurnEvent::Kind::kToolCall; });
  post_([job, events = std::move(events)]() mutable { job->listener().on_events(std::move(events)); });
  if (!called || !job->request().one_call || slot.turn()->done()) return;
  scheduler_.Remove(*slot.turn());
  End(slot);
}

void AnswerService::End(AnswerSlot& slot) {
  const AnswerJobPtr job = slot.job();
  Result<Generation> answer = slot.End();
  if (answer && job->request().one_call && !answer->tool_calls.empty()) {
    answer->tool_calls.resize(1);
    answer->finish = FinishReason::kToolCall;
  }
  Told(job, std::move(answer));
}

void AnswerService::Told(const AnswerJobPtr& job, Result<Generation> answer) {
  job->SetHasRead();
  {
    const std::lock_guard lock(mutex_);
    look_again_ = true;  // another may begin
    live_.erase(job);
    // What was being written when it was cancelled ends with what is there so far.
    const bool cancelled =
        answer ? answer->finish == FinishReason::kCancelled : answer.error().code == ErrorCode::kCancelled;
    ++(cancelled ? counts_.cancelled : answer ? counts_.answers : counts_.failed);
    if (answer) {
      counts_.prompt_tokens += answer->stats.prompt_tokens;
      counts_.reused_tokens += answer->stats.reused_tokens;
      counts_.written_tokens += answer->stats.generated_tokens;
    }
  }
  post_([job, answer = std::move(answer)]() mutable { job->listener().on_end(std::move(answer)); });
}

}  // namespace linnet
