// What a program may choose when it loads a model, opens a session and generates. Every field has a usable
// default.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace linnet {

// Which keys an image or video-frame block sees beyond the causal ones.
enum class MaskRule {
  kA,  // the model's own: on sliding layers a block sees itself inside the window; full layers are causal
  kB,  // what transformers 5.17 executes: a block sees itself in every layer, window or not. For parity
       // tests.
};

// How the cache stores keys and values.
enum class KvType {
  kF32,
  kBf16,
  kInt8,  // bytes with a scale for every head of a token's key and of its value
};
// As --kv takes it, and files of conversations say it.
constexpr std::string_view NameOf(KvType type) {
  return type == KvType::kF32 ? "f32" : type == KvType::kBf16 ? "bf16" : "int8";
}

// Called with a fraction in 0..1 and what is being done. May be empty.
using Progress = std::function<void(double fraction, std::string_view what)>;

// While a prompt is read. Both may be empty.
struct FeedHooks {
  Progress progress;
  const std::atomic<bool>* cancel =
      nullptr;  // looked at before each layer of each call: a second at most on the 12B
};
inline constexpr int kMaxThreads = 1024;

// Of sessions that ask for none: long enough for a conversation, short enough that the cache of a 12B fits
// beside its weights on a small machine.
inline constexpr int64_t kUsualContext = 8192;

// What becomes of a conversation that leaves no room for an answer (Conversation in linnet/conversation.h).
enum class WhenFull {
  kRefuse,     // nothing goes by itself: an answer may be cut, a message that does not fit is refused
  kShift,      // the oldest turns go
  kSummarise,  // the same, and the model writes a summary of them first, which stays
};

struct SessionOptions {
  // Tokens the session can hold; 0 = the model's maximum, at most kUsualContext, or less where that does not
  // fit (LoadOptions::use).
  int64_t context = 0;
  int64_t rows_per_call = 512;  // prefill chunk; raised to the largest image block of a prompt
  KvType kv = KvType::kBf16;
  MaskRule mask_rule = MaskRule::kA;
};

// A line of a plan of memory (linnet/memory_plan.h).
struct MemoryLine {
  std::string name;  // "weights"
  uint64_t bytes = 0;
  bool mapped = false;  // pages of a file, which the system may take back and read again
  bool held = false;    // this process has it already
};

// What can be made smaller where memory does not reach, as the person is to be told who can: an option of a
// command, a field of a program's own. Empty: it cannot.
struct MemoryKnobs {
  std::string context = "--context N";  // N is replaced by what fits
  std::string kv = "--kv int8";
  std::string drafter = "--draft 0";
  std::string conversations;  // "--together N"
  std::string pictures;       // "--image-tokens N"
  std::string over_plan = "--over-plan";
};

// What is to be done with a model, as far as it takes memory.
struct MemoryUse {
  SessionOptions session;  // with a context of 0 it may be shorter than usual, where that does not fit
  int64_t usual_context = kUsualContext;
  int64_t conversations = 1;
  bool fewer_conversations = false;  // there may be fewer, where they do not fit
  int64_t tokens = 0;                // that all of them hold together at most; 0 = each its whole context
  int64_t image_tokens = -1;         // of the largest picture; -1 = the model's own number, 0 = none is read
  int64_t sound_seconds = 30;        // of the longest piece of sound; 0 = none is heard
  std::vector<MemoryLine> others;    // what the program itself is going to take
  MemoryKnobs knobs = {};
};

inline constexpr int64_t kCacheRamLeft = -1, kMostCacheRam = 2'000'000'000;

struct LoadOptions {
  std::string
      model;  // Hugging Face directory, GGUF file or directory of GGUFs; empty = Chick, which is built in
  std::string mmproj;       // multimodal GGUF; empty = found beside the model
  std::string drafter;      // empty = found beside the model
  bool use_drafter = true;  // false: neither looked at nor loaded; then `drafter` must be empty
  int threads = 0;          // 1 to kMaxThreads; 0 = one per fast physical core that the process may use
  bool dequantise = false;  // hold every weight as float32: slow and large, for exact comparison
  // What has to fit beside the weights: where it does not, nothing is loaded. Without: the weights alone.
  std::optional<MemoryUse> use = std::nullopt;
  bool over_plan = false;  // loads what does not fit; the system will swap, or read files again and again
  // Bytes for what conversations have read beyond what each holds itself, so that none reads again what
  // another has read, or it itself before; 0 = none. kCacheRamLeft: what `use` leaves of the machine's
  // memory, without it half of what there is beside the weights; at most kMostCacheRam.
  int64_t cache_ram = kCacheRamLeft;
};

// Unset fields take the model's own defaults (generation_config.json, GGUF metadata).
struct SamplingOptions {
  std::optional<float> temperature;  // 0 = greedy
  std::optional<int32_t> top_k;      // 0 = off
  std::optional<float> top_p;        // 1 = off
  float min_p = 0.0f;                // 0 = off: drops tokens below min_p times the most probable one
  float repetition_penalty = 1.0f;   // 1 = off
  uint64_t seed = 0;                 // same seed, same text, whatever the thread count
};

class TokenMask;  // linnet/turn.h

inline constexpr int64_t kMaxDrafts = 15;

struct GenerateOptions {
  SamplingOptions sampling;
  int64_t max_tokens = 0;            // 0 = until the model stops or the context is full
  std::vector<std::string> stop;     // texts that end generation; not part of the answer
  std::vector<int32_t> stop_tokens;  // beside the model's own
  // Tokens guessed ahead and verified together; the answer is the same whatever the number
  // (docs/drafting.md). -1 = as many as pay off, 0 = none, otherwise fixed, at most kMaxDrafts.
  int32_t draft = -1;
  TokenMask* mask = nullptr;  // rules out tokens; must outlive the answer
  // Tells of each token of the text how probable it was, and of so many that were most probable; -1 =
  // nothing.
  int32_t logprobs = -1;
};

}  // namespace linnet
