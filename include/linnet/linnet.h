/* Linnet for C and for bindings of other languages: models, conversations with pictures and sounds, many
 * answers at once, recordings written down.
 *
 * Errors are values: a function that can fail returns a status, or NULL or -1, and fills a linnet_error,
 * which may be NULL. Nothing throws and nothing ends the program. Texts are UTF-8 and end with 0. What a
 * function is given is copied where it is kept. What it returns as `const char*` belongs to the handle it
 * came from.
 *
 * Structures of options begin with their size, so that a program keeps working with later versions of the
 * library; LINNET_LOAD_OPTIONS and so on give them with the usual values:
 *
 *   linnet_error error;
 *   linnet_engine* engine = linnet_engine_load(NULL, &error);
 *   linnet_conversation* chat = linnet_conversation_new(engine, NULL, &error);
 *   linnet_add_user(chat, "3 + 4", &error);
 *   if (linnet_answer(chat, NULL, &error) == LINNET_OK) puts(linnet_answer_text(chat));
 *
 * Thread safety: an engine and all that was made with it may be used from one thread at a time;
 * linnet_cancel() may be called from any. Several engines may work at once and share their threads. Handles
 * may be freed in any order, but not from a callback; nor may a callback step the scheduler that calls it. */
#ifndef LINNET_LINNET_H_
#define LINNET_LINNET_H_

#include <stddef.h>
#include <stdint.h>

#include "linnet/export.h"

#define LINNET_VERSION_MAJOR 0
#define LINNET_VERSION_MINOR 1
#define LINNET_VERSION_PATCH 0

#ifdef __cplusplus
extern "C" {
#endif

/* Of the library that runs: "0.1.0". */
LINNET_API const char* linnet_version(void);

typedef enum {
  LINNET_OK = 0,
  LINNET_INVALID_ARGUMENT, /* an option or a call is wrong */
  LINNET_NOT_FOUND,        /* a file or directory is not there */
  LINNET_BAD_FILE,         /* a file is there but is damaged or of another kind */
  LINNET_UNSUPPORTED,      /* well-formed, but Linnet or this model cannot do it */
  LINNET_OUT_OF_MEMORY,
  LINNET_CANCELLED,
  LINNET_INTERNAL /* a defect of Linnet */
} linnet_status;

/* What was found and what to do about it: one line for a person, cut where it is longer than this. */
typedef struct {
  linnet_status code;
  char message[1024];
} linnet_error;

/* Lines that a person should see, such as what became of a damaged picture. Linnet itself prints nothing.
 * Called on the thread that works; NULL for none. One for the whole process. */
typedef void (*linnet_log_function)(const char* line, void* user);
LINNET_API void linnet_set_log(linnet_log_function log, void* user);

/* ---- Models ---- */

typedef struct linnet_engine linnet_engine;

typedef struct {
  size_t size;
  const char*
      model; /* Hugging Face directory, GGUF file or directory of them; NULL = Chick, which is built in */
  const char* mmproj;  /* multimodal GGUF; NULL = found beside the model */
  const char* drafter; /* NULL = found beside the model */
  int no_drafter;      /* 1: neither looked for nor loaded */
  int threads;         /* 0 = one per fast physical core that the process may use */
  int64_t cache_ram;   /* bytes for what conversations have read before, so that none reads it again; 0 = half
                          of what is left beside the weights, at most 2 GB; -1 = none */
} linnet_load_options;
#define LINNET_LOAD_OPTIONS {sizeof(linnet_load_options), NULL, NULL, NULL, 0, 0, 0}

/* NULL, with the error, when it cannot be loaded. `options` may be NULL. */
LINNET_API linnet_engine* linnet_engine_load(const linnet_load_options* options, linnet_error* error);
LINNET_API void linnet_engine_free(linnet_engine* engine); /* also NULL */

typedef struct {
  size_t size;
  int64_t layers, width, vocabulary;
  int64_t context;          /* tokens that the model was made for at most */
  uint64_t weight_bytes;    /* resident */
  int sees, hears, watches; /* pictures, sound, videos */
  int threads;
} linnet_facts;
#define LINNET_FACTS {sizeof(linnet_facts), 0, 0, 0, 0, 0, 0, 0, 0, 0}
LINNET_API linnet_status linnet_engine_facts(const linnet_engine* engine, linnet_facts* facts,
                                             linnet_error* error);

/* Ordinary tokens, whatever the text spells. Returns how many there are and writes at most `capacity` of
 * them; -1 with the error. */
LINNET_API int64_t linnet_tokenise(const linnet_engine* engine, const char* text, int32_t* ids,
                                   int64_t capacity, linnet_error* error);
/* The text of `count` tokens: returns its length in bytes, or -1 with the error. */
typedef struct {
  char* data;
  size_t capacity; /* one more than the length, for the 0 at the end; what does not fit is left out */
} linnet_buffer;
LINNET_API int64_t linnet_detokenise(const linnet_engine* engine, const int32_t* ids, int64_t count,
                                     linnet_buffer text, linnet_error* error);

/* ---- Conversations ---- */

typedef struct linnet_conversation linnet_conversation;

typedef enum { LINNET_KV_BF16 = 0, LINNET_KV_F32, LINNET_KV_INT8 } linnet_kv_type;

/* What becomes of a conversation that leaves no room for an answer: what does not fit is refused; the oldest
 * turns go until a quarter of the context is free; the same, and the model writes a summary of them first. */
typedef enum { LINNET_FULL_REFUSE = 0, LINNET_FULL_SHIFT, LINNET_FULL_SUMMARISE } linnet_when_full;

typedef struct {
  size_t size;
  const char* system; /* message; NULL = none */
  const char* tools;  /* a JSON list of tool declarations; NULL = none */
  int thinking;
  int64_t context; /* tokens it can hold; 0 = the model's maximum, at most 8192 */
  linnet_kv_type kv;
  int64_t when_full; /* a linnet_when_full; wide, as the space behind kv was padding in earlier versions */
} linnet_conversation_options;
#define LINNET_CONVERSATION_OPTIONS \
  {sizeof(linnet_conversation_options), NULL, NULL, 0, 0, LINNET_KV_BF16, LINNET_FULL_REFUSE}

LINNET_API linnet_conversation* linnet_conversation_new(linnet_engine* engine,
                                                        const linnet_conversation_options* options,
                                                        linnet_error* error);
LINNET_API void linnet_conversation_free(linnet_conversation* conversation);

/* A picture, sound, video or PDF of the message that linnet_add_user() adds next. It is decoded there, in a
 * process without rights (linnet-media, which is installed with the library or named by LINNET_MEDIA_HELPER).
 */
LINNET_API linnet_status linnet_attach_file(linnet_conversation* conversation, const char* path,
                                            linnet_error* error);
/* The same of the bytes of a file; `name` is for messages and may be NULL. */
LINNET_API linnet_status linnet_attach_bytes(linnet_conversation* conversation, const void* data, size_t size,
                                             const char* name, linnet_error* error);
/* A message with all that was attached. When it fails nothing is added, and what was attached is let go. */
LINNET_API linnet_status linnet_add_user(linnet_conversation* conversation, const char* text,
                                         linnet_error* error);
/* The result of the tool calls of the last answer, in their order; LINNET_INVALID_ARGUMENT when none is
 * awaited. */
LINNET_API linnet_status linnet_add_tool_result(linnet_conversation* conversation, const char* result,
                                                linnet_error* error);
/* Forgets all messages; the system message and the tools stay. */
LINNET_API linnet_status linnet_conversation_reset(linnet_conversation* conversation, linnet_error* error);

/* ---- Answers ---- */

typedef enum {
  LINNET_THOUGHT = 0,
  LINNET_TEXT,
  LINNET_TOOL_CALL,
  LINNET_END,
  LINNET_SHIFT /* the oldest turns went to make room; before the first piece of the answer */
} linnet_event_kind;
typedef enum {
  LINNET_FINISH_STOP = 0, /* the model ended its turn, or a stop text came */
  LINNET_FINISH_LENGTH,   /* max_tokens were written */
  LINNET_FINISH_CONTEXT,  /* the conversation is full */
  LINNET_FINISH_CANCELLED,
  LINNET_FINISH_TOOL_CALL, /* it waits for results */
  LINNET_FINISH_REPETITION /* a grammar held it, and it repeated itself without end */
} linnet_finish;

typedef struct {
  linnet_event_kind kind;
  const char* text; /* the next piece; of a tool call its arguments, a JSON object; of the end that went wrong
                       the error; of a shift the summary that stays for what went; else NULL */
  const char* name; /* of a tool call, else NULL */
  linnet_finish finish;  /* of the end */
  linnet_status status;  /* of the end */
  int64_t turns, tokens; /* of a shift: what went */
} linnet_event;
/* What it points to lives during the call, which must not use the conversation. Returns 0 to go on, else to
 * cancel. */
typedef int (*linnet_event_function)(const linnet_event* event, void* user);

typedef struct {
  size_t size;
  linnet_event_function on_event; /* NULL = none */
  void* user;
  float temperature; /* 0 = the most probable token; below 0 = the model's own, as for the next two */
  int32_t top_k;     /* 0 = off */
  float top_p;       /* 1 = off */
  uint64_t seed;
  int64_t max_tokens;      /* 0 = until the model stops or the context is full */
  const char* const* stop; /* texts that end the answer; the list ends with NULL; NULL = none */
} linnet_answer_options;
#define LINNET_ANSWER_OPTIONS {sizeof(linnet_answer_options), NULL, NULL, -1.0f, -1, -1.0f, 0, 0, NULL}

/* Answers the messages and adds the answer to them. LINNET_CANCELLED only before the first token; later what
 * was written so far is the answer. When it fails the messages stay as they were. */
LINNET_API linnet_status linnet_answer(linnet_conversation* conversation,
                                       const linnet_answer_options* options, linnet_error* error);
/* Of the last answer, until the next; "" before the first. */
LINNET_API const char* linnet_answer_text(const linnet_conversation* conversation);
LINNET_API linnet_finish linnet_answer_finish(const linnet_conversation* conversation);
/* From any thread, also before an answer begins: it, or the one that goes on, ends. Each answer takes it
 * back. */
LINNET_API void linnet_cancel(linnet_conversation* conversation);

/* ---- Many conversations at once ---- */

typedef struct linnet_scheduler linnet_scheduler;

/* For at most `turns` answers at once. */
LINNET_API linnet_scheduler* linnet_scheduler_new(linnet_engine* engine, int64_t turns, linnet_error* error);
/* Answers that go on are cancelled; their conversations keep what was written. */
LINNET_API void linnet_scheduler_free(linnet_scheduler* scheduler);
/* Its answer takes part from the next step on; its end is an event. Nothing else may be done with the
 * conversation until then: LINNET_INVALID_ARGUMENT. */
LINNET_API linnet_status linnet_scheduler_add(linnet_scheduler* scheduler, linnet_conversation* conversation,
                                              const linnet_answer_options* options, linnet_error* error);
/* One step of all answers. Returns how many go on; -1 with the error. What is wrong with one answer is in its
 * end. */
LINNET_API int64_t linnet_scheduler_step(linnet_scheduler* scheduler, linnet_error* error);

/* ---- Recordings ---- */

typedef struct {
  double begin, end;       /* seconds of the recording */
  const char* text;        /* as it was heard */
  const char* translation; /* "" where none was asked for */
} linnet_utterance;
typedef int (*linnet_utterance_function)(const linnet_utterance* utterance, void* user);

typedef struct {
  size_t size;
  linnet_utterance_function on_utterance; /* returns 0 to go on, else to cancel */
  void* user;
  const char* language; /* to translate into, "fr" or "French"; NULL = write down only */
} linnet_transcribe_options;
#define LINNET_TRANSCRIBE_OPTIONS {sizeof(linnet_transcribe_options), NULL, NULL, NULL}

/* Hears a file of any length, in pieces cut at its pauses, in order. */
LINNET_API linnet_status linnet_transcribe(linnet_engine* engine, const char* path,
                                           const linnet_transcribe_options* options, linnet_error* error);

#ifdef __cplusplus
}
#endif

#endif
