#include "runtime/session_file.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "base/check.h"
#include "base/memory_guard.h"
#include "runtime/chat_history.h"
#include "runtime/checksum.h"
#include "runtime/engine_impl.h"
#include "runtime/prefix_reuse.h"
#include "runtime/session_media.h"
#include "runtime/session_saver.h"

namespace linnet {
namespace {

constexpr std::string_view kAnotherMedium = "a medium of it is another than its hash says";
constexpr std::string_view kASession = "a session file",
                           kLessElsewhere = "close other programs, or ask for a shorter --context";

std::unexpected<Error> Another(const std::filesystem::path& path, const std::string& what,
                               const std::string& advice) {
  return Fail(ErrorCode::kInvalidArgument, path.string() + ": " + what,
              advice + ", or begin another session with another file");
}

Result<SessionContainer> OpenContainer(const std::filesystem::path& path, LockedFile::Use use) {
  return WithinMemory(kASession, "close other programs", [&] { return SessionContainer::Open(path, use); });
}

}  // namespace

void SessionFile::Impl::SetIndex(SessionIndex fresh) {
  index = std::move(fresh);
  facts = {.model = index.model,
           .fingerprint = index.fingerprint.text,
           .options = index.options,
           .sampling = index.sampling,
           .setup = index.setup,
           .messages = static_cast<int64_t>(index.messages.size()),
           .tokens = static_cast<int64_t>(index.held.size()),
           .media = {},
           .bytes = container.bytes()};
  for (size_t m = 0; m < index.messages.size(); ++m) {
    for (const SessionIndex::StoredMedium& medium : index.messages[m].media) {
      facts.media.push_back({medium.shape.at("kind").get<std::string>(), static_cast<int64_t>(m),
                             medium.extent.bytes, medium.sha256});
    }
  }
}

Status SessionFile::Impl::ReadIndex() {
  if (container.empty()) return {};
  auto read = DecodeIndex(container.index());
  if (!read) return container.Damaged(read.error().what);
  LINNET_TRY(container.SetExtents(read->Extents()));
  SetIndex(std::move(*read));
  return {};
}

Status SessionFile::Impl::CheckModel(const Engine& engine, const SessionOptions& options) const {
  const Engine::Impl& loaded = engine.impl();
  const auto& path = container.path();
  const std::string name = index.model.empty() ? "" : " (" + index.model + ")";
  if (loaded.fingerprint.text != index.fingerprint.text) {
    return Another(path, "was held with another model" + name, "give the file of that model");
  }
  if (loaded.fingerprint.multimodal != index.fingerprint.multimodal && !facts.media.empty()) {
    return Another(path, "its pictures and sounds were read with another multimodal file",
                   "give that one with --mmproj");
  }
  if (options.kv != index.options.kv) {
    return Another(path, "keeps keys and values as " + std::string(NameOf(index.options.kv)),
                   "leave --kv out");
  }
  if (options.mask_rule != index.options.mask_rule) {
    return Another(path, "was held under another mask rule", "leave --mask-rule out");
  }
  const int64_t tokens = static_cast<int64_t>(index.held.size());
  if (options.context < tokens) {
    return Another(path,
                   "holds " + std::to_string(tokens) + " tokens, more than a context of " +
                       std::to_string(options.context),
                   "ask for a longer --context");
  }
  const auto known = [&](int32_t id) { return 0 <= id && id < loaded.config.vocab_size; };
  if (!std::ranges::all_of(index.held, known)) return container.Damaged("a token is not the model's");
  return {};
}

Status SessionFile::Impl::RestoreMessages(const MappedFile& map, ConversationParts parts) const {
  std::vector<ChatHistory::Message> messages;
  for (const SessionIndex::Message& stored : index.messages) {
    ChatHistory::Message& message = messages.emplace_back();
    message.json = stored.json;
    message.written = stored.written;
    for (const SessionIndex::StoredMedium& medium : stored.media) {
      LINNET_ASSIGN(const auto bytes, container.Checked(map, medium.extent));
      auto input = MediumOf(medium.shape, bytes);
      if (!input) return container.Damaged(input.error().what);
      map.Forget(medium.extent.at, medium.extent.bytes);
      message.media.push_back(MakeMedium(std::move(*input)).impl().input);
      // A save takes media with the same hash for the same.
      if (HashOf(message.media.back()) != medium.sha256) return container.Damaged(kAnotherMedium);
    }
  }
  parts.history.SetMessages(std::move(messages));
  return {};
}

// Pages are copied before they are checked: nothing that changes later can come into use.
Status SessionFile::Impl::RestoreCache(const MappedFile& map, ConversationParts parts) const {
  if (index.held.empty()) return {};
  const int64_t length = static_cast<int64_t>(index.held.size());
  LINNET_ASSIGN(PrefixKey next, NextPrompt(parts));
  next.Truncate(PlaceAt(next, length));
  if (next.ids != index.held) return {};  // the messages are read otherwise now: they will be read again
  KvCache& cache = parts.session.impl().cache;
  KvPrefix prefix{{}, length};
  for (const Extent& extent : index.pages) {
    LINNET_ASSIGN(const auto bytes, container.Find(map, extent));
    KvPage page = KvPage::Take(cache.pool());
    if (!page) return Fail(ErrorCode::kOutOfMemory, "there is no room for the pages of a session file");
    if (static_cast<int64_t>(bytes.size()) != page.pool()->page_bytes()) {
      return container.Damaged("its pages are of another size");
    }
    std::ranges::copy(bytes, page.data());
    map.Forget(extent.at, extent.bytes);
    if (ChecksumOf({page.data(), bytes.size()}) != extent.sum) {
      return container.Damaged("keys and values are not what was written");
    }
    prefix.pages.push_back(std::move(page));
  }
  if (index.rings.size() != 1) return container.Damaged("it has no window");
  LINNET_ASSIGN(const auto rings, container.Checked(map, index.rings[0]));
  const Status restored = cache.Restore(prefix, rings);
  if (!restored) return container.Damaged(restored.error().what);
  map.Forget(index.rings[0].at, index.rings[0].bytes);
  if (cache.length() != prefix.length) return container.Damaged("its window is of another place");
  parts.reuse.SetHeld(std::move(next));
  return {};
}

Result<Conversation> SessionFile::Impl::Load(Engine& engine, SessionOptions options) {
  if (options.context == 0) options.context = index.options.context;
  LINNET_TRY(CheckModel(engine, options));
  LINNET_ASSIGN(Conversation conversation, Conversation::Create(engine, options, index.setup));
  LINNET_ASSIGN(const MappedFile map, container.Map());
  const ConversationParts parts = PartsOf(conversation);
  parts.sampling = index.sampling;
  LINNET_TRY(RestoreMessages(map, parts));
  LINNET_TRY(RestoreCache(map, parts));
  LINNET_TRY(map.CheckUnchanged());
  return conversation;
}

SessionFile::SessionFile(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
SessionFile::SessionFile(SessionFile&&) noexcept = default;
SessionFile& SessionFile::operator=(SessionFile&&) noexcept = default;
SessionFile::~SessionFile() = default;

Result<SessionFile> SessionFile::OpenFor(const std::filesystem::path& path, bool writing) {
  if (path.empty())
    return Fail(ErrorCode::kInvalidArgument, "the name of the session's file is empty", "give one");
  LINNET_ASSIGN(SessionContainer container,
                OpenContainer(path, writing ? LockedFile::Use::kWrite : LockedFile::Use::kRead));
  return WithinMemory(kASession, "close other programs", [&]() -> Result<SessionFile> {
    auto impl = std::make_unique<Impl>(std::move(container));
    LINNET_TRY(impl->ReadIndex());
    return SessionFile(std::move(impl));
  });
}

Result<SessionFile> SessionFile::Open(const std::filesystem::path& path) { return OpenFor(path, true); }
Result<SessionFile> SessionFile::Read(const std::filesystem::path& path) { return OpenFor(path, false); }

bool SessionFile::empty() const { return impl_->container.empty(); }
const SessionFacts& SessionFile::facts() const { return impl_->facts; }
const std::filesystem::path& SessionFile::path() const { return impl_->container.path(); }

Result<Conversation> SessionFile::Load(Engine& engine, const SessionOptions& options) {
  LINNET_CHECK(!empty());
  return WithinMemory(kASession, kLessElsewhere, [&] { return impl_->Load(engine, options); });
}

Status SessionFile::Save(Conversation& conversation) { return SaveSession(*impl_, PartsOf(conversation)); }

Result<std::string> SessionFile::Export(SessionFormat format) const {
  LINNET_CHECK(!empty());
  return WithinMemory(kASession, "close other programs", [&]() -> Result<std::string> {
    try {
      return format == SessionFormat::kJson ? ExportJson(impl_->index) : ExportMarkdown(impl_->index);
    } catch (const nlohmann::ordered_json::exception&) {
      return impl_->container.Damaged("a message of it has no such form");
    }
  });
}

Status SessionFile::Check() const {
  if (empty()) return {};
  LINNET_ASSIGN(const MappedFile map, impl_->container.Map());
  for (const Extent& extent : impl_->index.Extents()) {
    LINNET_TRY(impl_->container.Checked(map, extent));
    map.Forget(extent.at, extent.bytes);
  }
  return {};
}

}  // namespace linnet
