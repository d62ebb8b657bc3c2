// What the client of a transcription session says and is told, as events of OpenAI's realtime protocol;
// without network and model.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "linnet/error.h"
#include "server/fields.h"
#include "server/realtime_sound.h"

namespace linnet {

// An event with an id of its own.
Json RealtimeEvent(const std::string& type, const Json& members);
// `code`: a name for programs, empty for none; `about`: the id of the client's event, empty for none.
Json RealtimeError(const Error& error, const std::string& code, const std::string& about);

// A part of the sound that is to be written down.
struct RealtimeItem {
  std::string id, pcm, hint;  // hint: SpeechRequest
};

struct RealtimeTold {
  std::vector<Json> events;
  std::vector<RealtimeItem> items;
  size_t held = 0;  // bytes of sound that are not committed
};

// Thread safety: one thread at a time.
class RealtimeSession {
 public:
  // `old`: in the words of the protocol's first edition.
  RealtimeSession(std::string model, bool old);

  // What a client hears first.
  Json Created() const;
  // A message. `waiting`: bytes of the sound of items that have not been written down.
  RealtimeTold Take(std::string_view message, size_t waiting);

 private:
  struct Settings {
    std::string language, prompt, hint;
    std::optional<SpeechDetection> detection = SpeechDetection{};
  };

  Status Dispatch(const Json& message, size_t waiting);
  Status Update(const Json& message, bool old);
  Status Append(const Json& message, size_t waiting);
  Status Commit();
  void Listen();
  void AddItem(std::string pcm);
  std::string ItemId();
  Json Shown() const;
  void Tell(const std::string& type, const Json& members) {
    told_.events.push_back(RealtimeEvent(type, members));
  }
  static Result<Settings> Changed(const Settings& before, const Fields& session, bool old);

  std::string model_, id_;
  bool old_;
  Settings settings_;
  RealtimeSound sound_;
  std::string begun_id_;  // of the item that is being spoken; empty: nothing is
  std::string last_id_, code_;
  RealtimeTold told_;
};

}  // namespace linnet
