// What a protocol is to the server: requests of its shape become answers to be written, and what is written
// gets its shape back.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "linnet/engine.h"
#include "linnet/error.h"
#include "linnet/turn.h"
#include "server/answer.h"
#include "server/fields.h"
#include "server/http.h"
#include "server/request_media.h"
#include "server/structured.h"

namespace linnet {

// Shapes what comes of the answers of one request. A stream is Begin, what Event gives of each piece, End of
// each answer, Finish; `choice` is which of several.
class AnswerWriter {
 public:
  virtual ~AnswerWriter() = default;

  virtual std::string Begin() { return {}; }
  virtual std::string Event(size_t choice, const TurnEvent& event) = 0;
  virtual std::string End(size_t choice, const Generation& answer) = 0;
  virtual std::string Finish() { return {}; }
  // Something went wrong after the stream had begun; it ends with this.
  virtual std::string Failure(const Error& error) = 0;
  virtual const char* stream_type() const { return kEventStream; }
  // While nothing is written, every few seconds; after Begin().
  virtual std::string SignOfLife() { return ": still working\n\n"; }

  // All of it at once.
  virtual std::string Whole(const std::vector<Generation>& answers) = 0;
};

// A request that was understood.
struct Asked {
  std::vector<AnswerRequest> answers;  // the same prompt, each with its own choices
  bool stream = false;
  std::unique_ptr<AnswerWriter> writer;
  std::vector<std::string> notes;          // what a person should know; for the log
  std::optional<HttpAnswer> at_once = {};  // instead of all that, where the model need not write
};

// What translations need of the server.
struct ServedModel {
  Engine& engine;
  std::string name;  // as answers call it
  int64_t context = 0;
  int64_t created = 0;  // when it was loaded, in seconds since 1970
  const MediaReader& media;
  Grammars& grammars;
  int32_t draft = -1;  // GenerateOptions::draft of every answer
};

// Understands a body. Runs beside network and engine. Errors: what is wrong with it.
using Translate = std::function<Result<Asked>(const ServedModel& model, const HttpRequest& request)>;

struct TranslatedRoute {
  const char* method;
  std::string path;
  Translate translate;
};

// Holds all answers to a form, and notes what of it cannot be kept. Errors: those of Grammars::Compile().
Status HoldToForm(const ServedModel& model, const AnswerForm& form, Asked& asked);

// An error in a protocol's form, and the status that goes with an error of the library.
int StatusOf(const Error& error);
std::string ErrorBody(const std::string& path, int status, const std::string& message);
HttpAnswer ErrorAnswer(const std::string& path, int status, const std::string& message);
HttpAnswer ErrorAnswer(const std::string& path, const Error& error);

// "chatcmpl-" and 24 random letters and digits.
std::string NewId(const std::string& prefix);
int64_t UnixTime();
// "2026-11-27T03:15:00Z"
std::string TimeText(int64_t unix_time);

// Pieces made one after the other, which operands of + need not be.
std::string Joined(std::initializer_list<std::string> pieces);

// `data: …` as an event of a stream.
std::string ServerSentEvent(const Json& json);

// "stop", "length" or "tool_calls", as OpenAI's clients know them.
const char* OpenAiFinish(FinishReason reason);

}  // namespace linnet
