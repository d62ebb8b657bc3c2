// What OpenAI's chats and completions of texts have in common in their answers.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "server/protocol.h"

namespace linnet {

// {"error": …} as an event, with which a stream of OpenAI's ends that fails.
std::string OpenAiFailure(const Error& error);

// `n` answers to one prompt, each with a seed of its own.
std::vector<AnswerRequest> AskForChoices(int64_t n, const PreparedPrompt& prepared,
                                         const GenerateOptions& options, const std::string& owner);

class OpenAiWriter : public AnswerWriter {
 public:
  // Names of what is written, whole and in pieces.
  struct Shape {
    const char *id, *object, *chunk;
    std::string model;
    size_t choices = 1;
    bool usage = false;  // a stream ends with it
  };
  explicit OpenAiWriter(Shape shape)
      : shape_(std::move(shape)), id_(NewId(shape_.id)), created_(UnixTime()), counted_(shape_.choices) {}

  std::string Finish() override;
  std::string Failure(const Error& error) override { return OpenAiFailure(error); }
  std::string Whole(const std::vector<Generation>& answers) override;

 protected:
  size_t choices() const { return shape_.choices; }
  // One of the choices of a whole answer.
  virtual Json ChoiceOf(size_t choice, const Generation& answer) = 0;
  // A piece of a stream.
  std::string Chunk(Json choice) const;
  // Of an answer that has ended, for the usage.
  void Count(size_t choice, const Generation& answer);

 private:
  struct Counted {
    GenerateStats stats;
    int64_t thought = 0;
  };
  Json Head(const char* object) const;
  // {"prompt_tokens": …}
  Json Usage() const;

  Shape shape_;
  std::string id_;
  int64_t created_;
  std::vector<Counted> counted_;  // by choice
};

}  // namespace linnet
