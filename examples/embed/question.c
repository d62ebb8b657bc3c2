/* Asks a model one question and prints the answer as it is written.
 * Usage: question [MODEL] QUESTION; without a model it is Chick, which is built in. */
#include <stdio.h>

#include <linnet/linnet.h>

static int on_event(const linnet_event* event, void* user) {
  (void)user;
  if (event->kind == LINNET_TEXT) {
    fputs(event->text, stdout);
    fflush(stdout);
  }
  return 0; /* anything else would cancel the answer */
}

static void on_log(const char* line, void* user) {
  (void)user;
  fprintf(stderr, "%s\n", line);
}

int main(int count, char** arguments) {
  if (count < 2 || count > 3) {
    fprintf(stderr, "usage: %s [MODEL] QUESTION\n", arguments[0]);
    return 2;
  }
  linnet_set_log(on_log, NULL);

  linnet_error error;
  linnet_load_options load = LINNET_LOAD_OPTIONS;
  if (count == 3) load.model = arguments[1];
  linnet_engine* engine = linnet_engine_load(&load, &error);
  linnet_conversation* chat = engine ? linnet_conversation_new(engine, NULL, &error) : NULL;

  linnet_answer_options options = LINNET_ANSWER_OPTIONS;
  options.on_event = on_event;
  const int answered = chat && linnet_add_user(chat, arguments[count - 1], &error) == LINNET_OK &&
                       linnet_answer(chat, &options, &error) == LINNET_OK;
  if (answered) {
    puts("");
  } else {
    fprintf(stderr, "%s\n", error.message);
  }
  linnet_conversation_free(chat);
  linnet_engine_free(engine);
  return answered ? 0 : 1;
}
