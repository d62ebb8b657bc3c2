#include "runtime/session_saver.h"

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/memory_guard.h"
#include "linnet/version.h"
#include "runtime/chat_history.h"
#include "runtime/engine_impl.h"
#include "runtime/prefix_reuse.h"
#include "runtime/session_media.h"

namespace linnet {
namespace {

constexpr std::string_view kSaving = "saving the session", kCloseOthers = "close other programs";

class SessionSaver {
 public:
  SessionSaver(SessionFile::Impl& file, ConversationParts parts)
      : file_(file), parts_(parts), cache_(parts.session.impl().cache) {}

  Status Save() {
    Status saved = WithinMemory(kSaving, kCloseOthers, [&] { return Write(); });
    if (saved || !begun_) return saved;
    LINNET_TRY(WithinMemory(kSaving, kCloseOthers, [&] {
      file_.container.GiveUp();
      return file_.ReadIndex();
    }));
    return saved;
  }

 private:
  Status Write() {
    Describe();
    LINNET_TRY(WriteMedia());
    if (!index_.held.empty()) {
      LINNET_TRY(WritePages());
      LINNET_TRY(WriteRings());
    }
    LINNET_ASSIGN(std::string text, EncodeIndex(index_));
    if (!begun_ && !file_.container.empty() && text == file_.container.index()) return {};
    LINNET_TRY(Begin());
    LINNET_TRY(file_.container.Commit(std::move(text), index_.Extents()));
    begun_ = false;
    file_.SetIndex(std::move(index_));
    return {};
  }

  // Everything that lies in no extent of its own.
  void Describe() {
    const Engine::Impl& engine = parts_.engine.impl();
    const ChatHistory& history = parts_.history;
    index_.program = Version();
    index_.model = engine.config.name;
    index_.fingerprint = engine.fingerprint;
    index_.options.context = cache_.context();
    index_.options.kv = cache_.type();
    index_.options.mask_rule = parts_.session.impl().mask_rule;
    index_.sampling = parts_.sampling;
    index_.setup = {history.system(), history.tools().is_null() ? "" : history.tools().dump(),
                    history.thinking()};
    // As far as the next prompt begins with what is held: a thought, say, does not stay. A snapshot of the
    // window cannot go back, so it is made there. Where the window is lost what was read is read again.
    const PrefixKey& held = parts_.reuse.held();
    const Result<PrefixKey> next = NextPrompt(parts_);
    const int64_t reused = next ? SharedLength(held, *next) : 0;
    if (reused <= cache_.length() && reused >= cache_.shortest()) {
      index_.held.assign(held.ids.begin(), held.ids.begin() + reused);
    }
  }

  Status Begin() {
    if (begun_) return {};
    begun_ = true;
    return file_.container.BeginSave();
  }

  Result<SessionIndex::StoredMedium> Store(const MediaInput& medium) {
    SessionIndex::StoredMedium stored{ShapeOf(medium), HashOf(medium), {}};
    for (const SessionIndex* index : {&std::as_const(file_.index), &std::as_const(index_)}) {
      for (const auto* other : index->Media()) {
        if (other->sha256 == stored.sha256 && other->shape == stored.shape) return *other;
      }
    }
    uint64_t bytes = 0;
    ForArrays(medium, [&](std::span<const uint8_t> piece) { bytes += piece.size(); });
    LINNET_TRY(Begin());
    LINNET_ASSIGN(stored.extent, file_.container.Put(bytes, [&](const ByteSink& sink) {
      Status put;
      ForArrays(medium, [&](std::span<const uint8_t> piece) {
        if (put) put = sink(piece);
      });
      return put;
    }));
    return stored;
  }

  Status WriteMedia() {
    for (const ChatHistory::Message& message : parts_.history.messages()) {
      index_.messages.push_back({message.json, message.written, {}});
      for (const MediaInput& medium : message.media) {
        LINNET_ASSIGN(SessionIndex::StoredMedium stored, Store(medium));
        index_.messages.back().media.push_back(std::move(stored));
      }
    }
    return {};
  }

  // How many tokens, and media among them, the file has in common with what is held: their keys and values
  // are the same.
  int64_t Shared() const {
    const SessionIndex& old = file_.index;
    if (old.fingerprint != index_.fingerprint || old.options.kv != index_.options.kv ||
        old.options.mask_rule != index_.options.mask_rule) {
      return 0;
    }
    const auto differ =
        std::mismatch(old.held.begin(), old.held.end(), index_.held.begin(), index_.held.end());
    return std::min<int64_t>(differ.first - old.held.begin(), BeforeOtherMedium());
  }

  // The first token of the first medium that is another than the file's; its place begins with a marker,
  // which no text gives. Media of the same size have the same tokens.
  int64_t BeforeOtherMedium() const {
    const auto before = file_.index.Media(), now = index_.Media();
    int64_t blocks = 0;
    size_t i = 0;
    for (; i < before.size() && i < now.size() && before[i]->sha256 == now[i]->sha256; ++i) {
      const auto frames = now[i]->shape.find("frames");
      blocks += frames == now[i]->shape.end() ? 1 : static_cast<int64_t>(frames->size());
    }
    if (i == before.size() || i == now.size()) return static_cast<int64_t>(index_.held.size());
    const TokenIds& tokens = parts_.engine.impl().config.tokens;
    const auto other = std::ranges::find_if(index_.held, [&](int32_t id) {
      return (id == tokens.begin_image || id == tokens.begin_audio) && blocks-- == 0;
    });
    return other - index_.held.begin();
  }

  Status WritePages() {
    const SessionIndex& old = file_.index;
    const int64_t length = static_cast<int64_t>(index_.held.size()), shared = Shared();
    const int64_t old_length = static_cast<int64_t>(old.held.size());
    const KvPrefix prefix = cache_.Prefix(length);
    for (size_t p = 0; p < prefix.pages.size(); ++p) {
      const int64_t page_end = static_cast<int64_t>(p + 1) * kPagePositions;
      const int64_t end = std::min(page_end, length);
      if (end == std::min(page_end, old_length) && end <= shared && p < old.pages.size()) {
        index_.pages.push_back(old.pages[p]);
        continue;
      }
      LINNET_TRY(Begin());
      const std::span<const uint8_t> bytes(prefix.pages[p].data(),
                                           static_cast<size_t>(cache_.pool()->page_bytes()));
      LINNET_ASSIGN(const Extent put, file_.container.Put(bytes));
      index_.pages.push_back(put);
    }
    return {};
  }

  Status WriteRings() {
    const int64_t length = static_cast<int64_t>(index_.held.size());
    if (length == static_cast<int64_t>(file_.index.held.size()) && length == Shared()) {
      index_.rings = file_.index.rings;
      return {};
    }
    LINNET_TRY(Begin());
    LINNET_ASSIGN(const Extent put,
                  file_.container.Put(static_cast<uint64_t>(cache_.RingBytes(length)),
                                      [&](const ByteSink& sink) { return cache_.SaveRings(length, sink); }));
    index_.rings = {put};
    return {};
  }

  SessionFile::Impl& file_;
  ConversationParts parts_;
  const KvCache& cache_;
  SessionIndex index_;
  bool begun_ = false;
};

}  // namespace

Result<PrefixKey> NextPrompt(const ConversationParts& parts) {
  const Engine::Impl& engine = parts.engine.impl();
  ChatHistory next = parts.history;
  if (!next.AwaitsToolResult() && !next.unanswered()) next.AddUser({});
  while (next.AwaitsToolResult()) next.AddToolResult("");
  LINNET_ASSIGN(const ChatHistory::Rendered all, next.Render(*engine.tokenizer, engine.config));
  return KeyOf(all.prompt, engine.config.audio);
}

Status SaveSession(SessionFile::Impl& file, ConversationParts parts) {
  if (parts.engine.impl().fingerprint.text.empty()) {
    return Fail(ErrorCode::kUnsupported, "a session of a model that comes from no file cannot be saved");
  }
  return SessionSaver(file, parts).Save();
}

}  // namespace linnet
