// Eight conversations whose answers are computed together: each step of the scheduler reads the weights once
// for all of them. Usage: eight_at_once [MODEL]; without a model it is Chick, which is built in.
#include <cstdio>
#include <map>
#include <string>
#include <vector>

#include <linnet/conversation.h>
#include <linnet/engine.h>
#include <linnet/scheduler.h>

namespace {

struct Talk {
  std::string question;
  linnet::Conversation conversation;
};

linnet::Status Run(const std::string& model) {
  LINNET_ASSIGN(const auto engine, linnet::Engine::Load({.model = model}));
  LINNET_ASSIGN(linnet::Scheduler scheduler, linnet::Scheduler::Create(*engine, {.turns = 8}));

  std::vector<Talk> talks;
  for (int i = 1; i <= 8; ++i) {
    LINNET_ASSIGN(linnet::Conversation conversation, linnet::Conversation::Create(*engine, {.context = 512}));
    talks.push_back({"what is " + std::to_string(i) + " + 4", std::move(conversation)});
  }

  std::map<linnet::Turn*, Talk*> writing;
  for (Talk& talk : talks) {
    linnet::UserMessage message;
    message.text = talk.question;
    talk.conversation.AddUser(std::move(message));
    LINNET_ASSIGN(linnet::Turn * turn, talk.conversation.Begin({}));
    LINNET_TRY(scheduler.Add(*turn));
    writing[turn] = &talk;
  }
  while (!scheduler.empty()) {
    // Pieces of answers would be had here with turn->TakeEvents().
    for (linnet::Turn* done : scheduler.RunStep()) {
      Talk& talk = *writing[done];
      LINNET_ASSIGN(const linnet::Generation answer, talk.conversation.End());
      std::printf("%s: %s\n", talk.question.c_str(), answer.text.c_str());
    }
  }
  return {};
}

}  // namespace

int main(int count, char** arguments) {
  const linnet::Status done = Run(count > 1 ? arguments[1] : "");
  if (!done) std::fprintf(stderr, "%s\n", done.error().Message().c_str());
  return done ? 0 : 1;
}
