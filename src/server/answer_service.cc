#include "server/answer_service.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/memory_guard.h"
#include "runtime/engine_impl.h"

namespace linnet {
namespace {

// Of a text whose state is wanted, at once: alone, and while answers wait for it.
constexpr int64_t kStateTokens = 512, kStateTokensBeside = 32;

// Of prompts, beside answers that are written, where so many hardly make these wait.
constexpr int64_t kRowsBeside = 256;

Result<int64_t> PagesOfAll(const AnswerServiceOptions& options, int64_t context) {
  const int64_t most = options.parallel * KvCache::PagesOf(context);
  if (options.tokens == 0) return most;
  if (options.tokens < context) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("a cache of {} tokens cannot hold a context of {}", options.tokens, context),
                fmt::format("give --cache-tokens {} or more, or a shorter --context", context));
  }
  return std::min(most, KvCache::PagesOf(options.tokens));
}

}  // namespace

Result<std::unique_ptr<AnswerService>> AnswerService::Create(Engine& engine,
                                                             const AnswerServiceOptions& options, Post post) {
  LINNET_ASSIGN(Scheduler scheduler,
                Scheduler::Create(
                    engine, {.turns = options.parallel, .prompt_rows_beside = kRowsBeside, .steady = true}));
  Engine::Impl& impl = engine.impl();
  LINNET_ASSIGN(const SessionOptions session,
                ResolveSession(impl.config, options.session, impl.usual_context));
  LINNET_ASSIGN(const int64_t pages, PagesOfAll(options, session.context));
  LINNET_ASSIGN(KvPageRoom room, impl.RoomFor(session.kv, pages));
  std::unique_ptr<AnswerService> service(
      new AnswerService(engine, options, std::move(post), std::move(scheduler), std::move(room)));
  service->pages_ = pages;
  service->context_ = session.context;
  for (int64_t i = 0; i < options.parallel; ++i) {
    LINNET_ASSIGN(std::unique_ptr<AnswerSlot> slot, AnswerSlot::Create(engine, session));
    service->slots_.push_back(std::move(slot));
  }
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
    if (!ReadStates()) BeginWaiting();
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
    if (!HasRoom(slots_.front()->PagesFor((*job)->request()))) return nullptr;
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

// A piece of the first of those that wait. Whether it waits for room in the cache, or for a slot.
bool AnswerService::ReadStates() {
  StateJobPtr job;
  {
    const std::lock_guard lock(mutex_);
    if (states_.empty()) return false;
    job = states_.front();
  }
  const Result<bool> done = WithinMemory("this text", "send less at once", [&] { return ReadState(*job); });
  if (done && !*done) return state_slot_ == nullptr;
  if (state_slot_ != nullptr) std::exchange(state_slot_, nullptr)->EndState();
  Result<std::vector<std::vector<float>>> states = std::exchange(state_vectors_, {});
  if (!done) states = std::unexpected(done.error());
  {
    const std::lock_guard lock(mutex_);
    states_.pop_front();
    look_again_ = true;  // another may begin
  }
  post_([job, states = std::move(states)]() mutable { job->on_end(std::move(states)); });
  return false;
}

// Whether all of its texts have been read; not where it has to wait.
Result<bool> AnswerService::ReadState(StateJob& job) {
  if (job.cancelled) return Fail(ErrorCode::kCancelled, "stopped");
  const size_t longest = std::ranges::max(job.texts, {}, &std::vector<int32_t>::size).size();
  const int64_t pages = KvCache::PagesOf(static_cast<int64_t>(longest));
  if (state_slot_ == nullptr) {
    AnswerSlot* free = BestSlot({});
    if (free == nullptr || !HasRoom(pages)) return false;
    MakeRoom(*free, pages);
    state_slot_ = free;
    state_slot_->BeginState(job.texts.front(), pages);
  }
  TextState& state = *state_slot_->state();
  LINNET_TRY(state.Read(scheduler_.empty() ? kStateTokens : kStateTokensBeside));
  if (!state.done()) return false;
  state_vectors_.push_back(state.Vector());
  state_slot_->EndState();
  if (state_vectors_.size() == job.texts.size()) return true;
  state_slot_->BeginState(job.texts[state_vectors_.size()], pages);
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

// Beside those that are busy; the others would let go of what they hold.
bool AnswerService::HasRoom(int64_t pages) const {
  for (const auto& slot : slots_) {
    if (slot->busy()) pages += slot->pages();
  }
  return pages <= pages_;
}

// Those that were used longest ago let go of what they hold. REQUIRES: HasRoom(pages).
void AnswerService::MakeRoom(const AnswerSlot& slot, int64_t pages) {
  while (true) {
    int64_t sum = pages;
    AnswerSlot* oldest = nullptr;
    for (const auto& other : slots_) {
      if (other.get() == &slot) continue;
      sum += other->pages();
      if (other->busy() || other->pages() == 0) continue;
      if (oldest == nullptr || other->used() < oldest->used()) oldest = other.get();
    }
    if (sum <= pages_ || oldest == nullptr) return;
    oldest->Forget();
  }
}

void AnswerService::Begin(AnswerJobPtr job) {
  AnswerSlot* slot = BestSlot(*job->request().prepared.key);
  MakeRoom(*slot, slot->PagesFor(job->request()));
  slot->set_used(++uses_);
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
