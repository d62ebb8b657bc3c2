#include "runtime/mask_ahead.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <utility>
#include <vector>

#include "runtime/token_mask.h"

namespace linnet {
namespace {

class MaskAhead final : public TokenMask {
 public:
  MaskAhead(std::unique_ptr<TokenMask> rule, std::shared_ptr<SideThread> side)
      : side_(std::move(side)), rule_(std::move(rule)), task_(*side_, [this] { ComputeAhead(); }) {
    drafts_.reserve(kMaxDrafts);
  }
  ~MaskAhead() override { stop_ = true; }

  void Begin(const AnswerStart& start) override {
    Settle();
    Forget();
    rule_->Begin(start);
  }
  AllowedWords Allowed() override {
    Settle();
    return Here();
  }
  void Advance(int32_t id) override {
    Settle();
    Step(id);
  }
  void RollBack(int64_t tokens) override {
    Settle();
    StepBack(tokens);
  }
  void Prepare(std::span<const int32_t> drafts) override {
    Settle();
    if (drafts.empty() && places_[at_].known) return;
    drafts_.assign(drafts.begin(), drafts.begin() + std::min(std::ssize(drafts), kMaxDrafts));
    stop_ = false;
    task_.Begin();
  }
  bool Endless() const override {
    Settle();
    return rule_->Endless();
  }
  const Error* error() const override {
    Settle();
    return rule_->error();
  }

 private:
  // A place in the answer, and what may follow there.
  struct Place {
    bool known = false;
    std::vector<uint32_t> words;
    int32_t next = -1;  // the token that leads to the next place
  };

  // The rule belongs to the thread that calls this until the next Prepare().
  void Settle() const {
    stop_ = true;
    task_.End();
  }

  void ComputeAhead() {
    int64_t drafts = 0;
    for (const int32_t id : drafts_) {
      if (stop_ || id < 0 || !IsAllowed(Here(), static_cast<size_t>(id))) break;
      Step(id);
      ++drafts;
    }
    if (!stop_) Here();
    StepBack(drafts);
  }

  const std::vector<uint32_t>& Here() {
    Place& here = places_[at_];
    if (!here.known) {
      const AllowedWords words = rule_->Allowed();
      here.words.assign(words.begin(), words.end());
      here.known = rule_->error() == nullptr;  // which may end with a draft that is taken back
    }
    return here.words;
  }

  void Step(int32_t id) {
    rule_->Advance(id);
    if (at_ + 1 == places_.size()) {
      std::ranges::rotate(places_, places_.begin() + 1);
      --at_;
      places_[at_ + 1].known = false;
    }
    if (std::exchange(places_[at_].next, id) != id) ForgetBehind(at_);
    ++at_;
  }

  void StepBack(int64_t tokens) {
    rule_->RollBack(tokens);
    if (tokens > static_cast<int64_t>(at_)) return Forget();
    at_ -= static_cast<size_t>(tokens);
  }

  void Forget() {
    at_ = 0;
    places_[0].known = false;
    places_[0].next = -1;
    ForgetBehind(0);
  }

  void ForgetBehind(size_t place) {
    for (size_t i = place + 1; i < places_.size(); ++i) {
      places_[i].known = false;
      places_[i].next = -1;
    }
  }

  std::shared_ptr<SideThread> side_;
  std::unique_ptr<TokenMask> rule_;
  std::array<Place, kMaxDrafts + 2> places_;  // a stretch of the answer
  size_t at_ = 0;                             // where in it the answer stands
  std::vector<int32_t> drafts_;
  mutable std::atomic<bool> stop_ = false;
  mutable SideThread::Task task_;  // last: what it does needs all of the others
};

}  // namespace

std::unique_ptr<TokenMask> NewMaskAhead(std::unique_ptr<TokenMask> rule, std::shared_ptr<SideThread> side) {
  return std::make_unique<MaskAhead>(std::move(rule), std::move(side));
}

}  // namespace linnet
