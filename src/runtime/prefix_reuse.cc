#include "runtime/prefix_reuse.h"

#include <algorithm>
#include <utility>

#include "runtime/conversation.h"
#include "runtime/turn.h"
#include "text/tokenizer.h"

namespace linnet {
namespace {

// Snapshots at fixed distances are at multiples of a power of two, so that conversations have the same ones.
constexpr int64_t kLeastDistance = 1024;
// Two stops nearer than this are not worth two snapshots.
constexpr int64_t kLeastGap = 32;
// Two prompts that part may share a few tokens more than the next one will: the first words of a question, a
// space that belongs to the next word.
constexpr int64_t kBeforeParting = 8;

// So far apart that those of a whole context take at most half of the store.
int64_t DistanceOf(const KvCache& cache, uint64_t cap) {
  const uint64_t bytes = static_cast<uint64_t>(cache.RingBytes(cache.context()));
  int64_t distance = kLeastDistance;
  while (distance < cache.context() && static_cast<uint64_t>(cache.context() / distance) * bytes > cap / 2) {
    distance *= 2;
  }
  return distance;
}

// Where the first message ends: often what conversations have in common. 0: it is the only one.
int64_t FirstMessage(const Tokenizer* tokenizer, const PrefixKey& prompt) {
  if (tokenizer == nullptr) return 0;
  for (const char* opens : {"<|turn>", "<start_of_turn>"}) {
    const auto id = tokenizer->TokenId(opens);
    if (!id) continue;
    const auto first = std::ranges::find(prompt.ids, *id);
    if (first == prompt.ids.end()) continue;
    const auto second = std::find(first + 1, prompt.ids.end(), *id);
    return second == prompt.ids.end() ? 0 : second - prompt.ids.begin();
  }
  return 0;
}

}  // namespace

// What the session can be rolled back to. It may have been made to forget.
int64_t PrefixReuse::OwnLength(const PrefixKey& prompt, int64_t most) const {
  const KvCache& cache = session_.cache;
  const int64_t length = PlaceAt(prompt, std::min({SharedLength(held_, prompt), most, cache.length()}));
  return length == cache.length() || length >= cache.shortest() ? length : 0;
}

Result<PrefixReuse::Reused> PrefixReuse::Reuse(PrefixKey whole, Prompt& prompt, int64_t parts) {
  PrefixStore& store = session_.engine.prefixes;
  KvCache& cache = session_.cache;
  prompt_ = std::make_shared<const PrefixKey>(std::move(whole));
  const int64_t most = PlaceAt(*prompt_, prompt_->size() - 1);  // the logits of the last token are needed
  int64_t length = OwnLength(*prompt_, most);
  const PrefixStore::Match match = store.Find({cache.pool().get(), session_.mask_rule}, *prompt_, most);
  PrefixKey held = *prompt_;
  session_.logits = {};
  if (match.length > length && cache.Restore(match.snapshot->prefix, match.snapshot->rings)) {
    length = match.length;
  } else {
    LINNET_TRY(cache.Truncate(length));  // OwnLength() says that it can
  }
  held.Truncate(length);
  held_ = std::move(held);
  store.Trim();
  DropPrefix(prompt, length);
  Reused reused{.stops = {}, .tokens = length, .dropped = std::max<int64_t>(0, match.dropped - length)};
  const int64_t parting = PlaceAt(*prompt_, match.branch - kBeforeParting);
  const int64_t branch = parting - length >= kLeastGap ? parting : 0;
  reused.stops.positions = Stops(*prompt_, parts, branch);
  reused.stops.reached = [this, parts, branch](int64_t position) {
    const bool end = position == parts || position == branch;
    Keep(position, end ? PrefixStore::Place::kEnd : PrefixStore::Place::kOnTheWay);
  };
  return reused;
}

std::vector<int64_t> PrefixReuse::Stops(const PrefixKey& prompt, int64_t parts, int64_t branch) const {
  const uint64_t cap = session_.engine.prefixes.cap();
  const KvCache& cache = session_.cache;
  if (static_cast<uint64_t>(cache.RingBytes(prompt.size())) > cap) return {};
  const int64_t begin = held_.size(), end = prompt.size();
  std::vector<int64_t> wanted = {parts, branch, FirstMessage(session_.engine.tokenizer.get(), prompt)};
  if (!prompt.media.empty()) wanted.push_back(prompt.media.back().begin + prompt.media.back().rows);
  const int64_t distance = DistanceOf(cache, cap);
  for (int64_t p = (begin / distance + 1) * distance; p < end; p += distance) {
    wanted.push_back(PlaceAt(prompt, p));
  }
  std::ranges::sort(wanted);
  std::vector<int64_t> stops;
  int64_t last = begin;
  for (const int64_t stop : wanted) {
    const bool needed = stop == parts || stop == branch;
    if (stop <= last || stop > end || (!needed && stop - last < kLeastGap)) continue;
    stops.push_back(last = stop);
  }
  return stops;
}

PrefixStore::Live PrefixReuse::Keep(int64_t length, PrefixStore::Place place) {
  return session_.engine.prefixes.Keep(session_.mask_rule, prompt_, length, session_.cache, place);
}

Result<std::unique_ptr<Turn>> PrefixReuse::Begin(Engine& engine, Session& session, Asked asked,
                                                 const GenerateOptions& options) {
  LINNET_ASSIGN(Reused reused, Reuse(std::move(asked.key), asked.prompt, asked.parts));
  return BeginTurn(engine, session,
                   {.prompt = std::make_shared<const Prompt>(std::move(asked.prompt)),
                    .earlier = held_.ids,
                    .inside_thought = asked.inside_thought,
                    .plain = asked.plain,
                    .cancel = asked.cancel,
                    .stops = std::move(reused.stops),
                    .reused = reused.tokens,
                    .dropped = reused.dropped},
                   options);
}

Result<Generation> PrefixReuse::End(Turn& turn) {
  turn.Cancel();  // if it is not done
  Result<Generation> answer = turn.Finish();
  if (!answer) {
    HoldWhatWasRead();
    return answer;
  }
  PrefixKey held = *prompt_;
  held.ids.insert(held.ids.end(), answer->ids.begin(), answer->ids.begin() + answer->stats.decode_steps);
  held_ = std::move(held);
  return answer;
}

void PrefixReuse::KeepEnd(int64_t parts) {
  if (parts > prompt_->size()) prompt_ = std::make_shared<const PrefixKey>(held_);
  turn_end_.reset();  // the one before may go for it
  turn_end_ = Keep(std::min(parts, held_.size()), PrefixStore::Place::kEnd);
  session_.engine.prefixes.Trim();
}

void PrefixReuse::HoldWhatWasRead() {
  PrefixKey held = *prompt_;
  int64_t length = std::min(session_.cache.length(), held.size());
  if (PlaceAt(held, length) != length || !session_.cache.Truncate(length)) {
    length = 0;
    (void)session_.cache.Truncate(0);
  }
  held.Truncate(length);
  held_ = std::move(held);
}

}  // namespace linnet
