// The engine's thread: answers that are waited for, those that are being written together, and what they
// tell. They join and leave between steps; each is, byte for byte, the one it would be alone.
//
// Those that wait are taken in turns from those who asked (AnswerRequest::owner), each owner's in their
// order. One begins when all that it may come to hold has room in the cache beside what those that are being
// written may come to hold: none is cut because another is long. Nobody overtakes one that waits for room.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "linnet/engine.h"
#include "linnet/error.h"
#include "linnet/scheduler.h"
#include "server/answer.h"
#include "server/answer_slot.h"

namespace linnet {

struct AnswerServiceOptions {
  SessionOptions session;
  int64_t parallel = 4;  // answers at once
  int64_t tokens = 0;    // that they can hold together, at least a context; 0 = each the whole context
  int64_t waiting = 64;  // at most
};

// Texts of which the states are wanted (text_state.h). They are read beside the answers, a piece between two
// steps.
struct StateJob {
  std::vector<std::vector<int32_t>> texts;
  std::function<void(Result<std::vector<std::vector<float>>>)> on_end;  // as of AnswerJob::Listener
  std::atomic<bool> cancelled = false;                                  // from any thread
};
using StateJobPtr = std::shared_ptr<StateJob>;

// What has been done so far, for metrics.
struct AnswerCounts {
  int64_t waiting = 0, reading = 0, writing = 0;  // now
  int64_t answers = 0, failed = 0, cancelled = 0;
  int64_t prompt_tokens = 0, reused_tokens = 0, written_tokens = 0, steps = 0;
};

// Thread safety: any.
class AnswerService {
 public:
  using Post = std::function<void(std::function<void()>)>;

  // `post` must be callable from any thread until this is gone. Errors: those of Engine::NewSession and
  // Scheduler::Create.
  static Result<std::unique_ptr<AnswerService>> Create(Engine& engine, const AnswerServiceOptions& options,
                                                       Post post);
  // Cancels what is left.
  ~AnswerService();

  // Whether it was taken: not where too many wait already.
  bool Submit(const std::vector<AnswerJobPtr>& jobs);
  bool Submit(const StateJobPtr& job);
  // Cancels a job and sees to it at once.
  void Cancel(const AnswerJobPtr& job);
  // Cancels those that wait, and those that are written.
  void CancelAll();

  AnswerCounts counts() const;
  bool idle() const;
  int64_t context() const { return context_; }

 private:
  AnswerService(Engine& engine, AnswerServiceOptions options, Post post, Scheduler scheduler, KvPageRoom room)
      : engine_(engine),
        options_(options),
        post_(std::move(post)),
        scheduler_(std::move(scheduler)),
        room_(std::move(room)) {}

  void Run();
  void TakeCancelled();
  void BeginWaiting();
  bool ReadStates();
  Result<bool> ReadState(StateJob& job);
  void Begin(AnswerJobPtr job);
  AnswerSlot* BestSlot(const PrefixKey& prompt);
  bool HasRoom(int64_t pages) const;
  void MakeRoom(const AnswerSlot& slot, int64_t pages);
  void Step();
  void Tell(AnswerSlot& slot);
  void End(AnswerSlot& slot);
  void Told(const AnswerJobPtr& job, Result<Generation> answer);
  AnswerJobPtr NextWaiting();

  Engine& engine_;
  AnswerServiceOptions options_;
  Post post_;
  Scheduler scheduler_;
  KvPageRoom room_;  // of the cache, for all slots
  int64_t pages_ = 0;
  std::vector<std::unique_ptr<AnswerSlot>> slots_;
  int64_t context_ = 0, uses_ = 0;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, std::deque<AnswerJobPtr>> waiting_;  // by owner
  std::set<AnswerJobPtr> live_;                              // that have not ended
  std::deque<StateJobPtr> states_;                           // likewise; the first is being read
  std::string last_owner_;
  int64_t waiting_count_ = 0;
  AnswerCounts counts_;
  bool stopping_ = false, look_again_ = false;
  std::thread thread_;

  // Of the first of states_, for the engine's thread.
  AnswerSlot* state_slot_ = nullptr;
  std::vector<std::vector<float>> state_vectors_;
};

}  // namespace linnet
