// For those that read session files in parts: linnet/session_file.h.
#pragma once

#include <memory>
#include <string>

#include "linnet/session_file.h"
#include "runtime/conversation.h"
#include "runtime/session_container.h"
#include "runtime/session_index.h"

namespace linnet {

struct LINNET_HIDDEN SessionFile::Impl {
  explicit Impl(SessionContainer the_container) : container(std::move(the_container)) {}

  // Takes the index that the container holds.
  Status ReadIndex();
  void SetIndex(SessionIndex fresh);

  Status CheckModel(const Engine& engine, const SessionOptions& options) const;
  Result<Conversation> Load(Engine& engine, SessionOptions options);
  Status RestoreMessages(const MappedFile& map, ConversationParts parts) const;
  Status RestoreCache(const MappedFile& map, ConversationParts parts) const;

  SessionContainer container;
  SessionIndex index;
  SessionFacts facts;
};

// The same as texts; they know nothing of the file.
std::string ExportJson(const SessionIndex& index);
std::string ExportMarkdown(const SessionIndex& index);

}  // namespace linnet
