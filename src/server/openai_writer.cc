#include "server/openai_writer.h"

#include <utility>

namespace linnet {

std::string OpenAiFailure(const Error& error) {
  return "data: " + ErrorBody("", StatusOf(error), error.Message()) + "\n\n";
}

std::vector<AnswerRequest> AskForChoices(int64_t n, const PreparedPrompt& prepared,
                                         const GenerateOptions& options, const std::string& owner) {
  std::vector<AnswerRequest> answers;
  for (int64_t choice = 0; choice < n; ++choice) {
    AnswerRequest answer{.prepared = prepared, .options = options, .owner = owner};
    answer.options.sampling.seed += static_cast<uint64_t>(choice);
    answers.push_back(std::move(answer));
  }
  return answers;
}

Json OpenAiWriter::Head(const char* object) const {
  return {{"id", id_}, {"object", object}, {"created", created_}, {"model", shape_.model}};
}

std::string OpenAiWriter::Chunk(Json choice) const {
  Json chunk = Head(shape_.chunk);
  chunk["choices"] = Json::array({std::move(choice)});
  if (shape_.usage) chunk["usage"] = nullptr;
  return ServerSentEvent(chunk);
}

std::string OpenAiWriter::Finish() {
  std::string pieces;
  if (shape_.usage) {
    Json chunk = Head(shape_.chunk);
    chunk["choices"] = Json::array();
    chunk["usage"] = Usage();
    pieces = ServerSentEvent(chunk);
  }
  return pieces + "data: [DONE]\n\n";
}

std::string OpenAiWriter::Whole(const std::vector<Generation>& answers) {
  Json whole = Head(shape_.object);
  whole["choices"] = Json::array();
  for (size_t choice = 0; choice < answers.size(); ++choice) {
    Count(choice, answers[choice]);
    whole["choices"].push_back(ChoiceOf(choice, answers[choice]));
  }
  whole["usage"] = Usage();
  return Dump(whole);
}

void OpenAiWriter::Count(size_t choice, const Generation& answer) {
  counted_[choice] = {answer.stats, static_cast<int64_t>(answer.written.thought.size())};
}

Json OpenAiWriter::Usage() const {
  const GenerateStats& first = counted_.front().stats;
  int64_t written = 0, thought = 0;
  for (const Counted& answer : counted_) {
    written += answer.stats.generated_tokens;
    thought += answer.thought;
  }
  const int64_t prompt = first.prompt_tokens + first.reused_tokens;
  return {{"prompt_tokens", prompt},
          {"completion_tokens", written},
          {"total_tokens", prompt + written},
          {"prompt_tokens_details", {{"cached_tokens", first.reused_tokens}, {"audio_tokens", 0}}},
          {"completion_tokens_details", {{"reasoning_tokens", thought}, {"audio_tokens", 0}}}};
}

}  // namespace linnet
