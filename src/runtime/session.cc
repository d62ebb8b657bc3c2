#include "linnet/session.h"

#include <algorithm>
#include <limits>
#include <string>
#include <string_view>

#include "base/memory_guard.h"
#include "model/embedders.h"
#include "runtime/engine_impl.h"

namespace linnet {
namespace {

constexpr std::string_view kReading = "reading the prompt", kPrompt = "reading this prompt",
                           kLess = "shorten it, give smaller pictures, or close other programs";

bool IsPicture(TokenType type) { return type == TokenType::kImage || type == TokenType::kVideo; }

// Hands out the soft-token rows of a prompt's media in order, computing a medium when its first row is
// wanted.
class SoftRows {
 public:
  SoftRows(Session::Impl& session, const Prompt& prompt) : session_(session), prompt_(prompt) {}

  // The next row for a placeholder of this type: (D). Valid until the next call.
  const float* Next(TokenType type) {
    return IsPicture(type) ? NextRow(images_, true) : NextRow(clips_, false);
  }

 private:
  struct Stream {
    size_t medium = 0;  // the next one to compute
    int64_t row = 0;    // the next row of the current one
    int64_t rows = 0;
    AlignedBuffer<float> soft;
  };

  const float* NextRow(Stream& stream, bool pictures) {
    while (stream.row == stream.rows) {
      stream.row = 0;
      stream.rows = pictures ? ComputeImage(stream) : ComputeClip(stream);
    }
    return stream.soft.data() + stream.row++ * session_.engine.config.hidden_size;
  }

  int64_t ComputeImage(Stream& stream) {
    Engine::Impl& engine = session_.engine;
    const ImageInput& image = prompt_.images[stream.medium++];
    const int64_t width = engine.config.vision.patch_values();
    stream.soft = AlignedBuffer<float>(static_cast<size_t>(image.rows * engine.config.hidden_size));
    EmbedImage(engine.context, {engine.config.vision, engine.weights.vision},
               {MakeRows(const_cast<float*>(image.patches.data()), image.rows, width), image.positions},
               MakeRows(stream.soft.data(), image.rows, engine.config.hidden_size), session_.probe);
    return image.rows;
  }

  int64_t ComputeClip(Stream& stream) {
    Engine::Impl& engine = session_.engine;
    const AudioInput& clip = prompt_.clips[stream.medium++];
    const int64_t width = engine.config.audio.frame_samples;
    const int64_t rows = (static_cast<int64_t>(clip.samples.size()) + width - 1) / width;
    if (rows == 0) return 0;
    AlignedBuffer<float> frames(static_cast<size_t>(rows * width));
    FrameSamples(clip.samples, MakeRows(frames.data(), rows, width));
    stream.soft = AlignedBuffer<float>(static_cast<size_t>(rows * engine.config.hidden_size));
    EmbedAudio(engine.context, {engine.config.audio, engine.weights.audio},
               MakeRows(frames.data(), rows, width),
               MakeRows(stream.soft.data(), rows, engine.config.hidden_size), session_.probe);
    return rows;
  }

  Session::Impl& session_;
  const Prompt& prompt_;
  Stream images_, clips_;
};

Status CheckIds(const ModelConfig& config, std::span<const int32_t> ids) {
  if (ids.empty()) return Fail(ErrorCode::kInvalidArgument, "the prompt is empty", "give at least one token");
  for (const int32_t id : ids) {
    if (id < 0 || id >= config.vocab_size) {
      return Fail(ErrorCode::kInvalidArgument, "token id " + std::to_string(id) +
                                                   " is outside the vocabulary of " +
                                                   std::to_string(config.vocab_size));
    }
  }
  return {};
}

Status CheckRoom(const KvCache& cache, size_t tokens) {
  const int64_t needed = cache.length() + static_cast<int64_t>(tokens);
  if (needed <= cache.context()) return {};
  return Fail(ErrorCode::kInvalidArgument,
              "the prompt needs " + std::to_string(needed) + " tokens of context, but the session holds " +
                  std::to_string(cache.context()),
              "shorten it or ask for a larger --context");
}

Status CheckPictures(const ModelConfig& config, const Prompt& prompt) {
  const int64_t width = config.vision.patch_values();
  for (const ImageInput& image : prompt.images) {
    if (static_cast<int64_t>(image.patches.size()) != image.rows * width ||
        static_cast<int64_t>(image.positions.size()) != 2 * image.rows) {
      return Fail(ErrorCode::kInvalidArgument, "a picture has " + std::to_string(image.patches.size()) +
                                                   " pixel values for " + std::to_string(image.rows) +
                                                   " cells of " + std::to_string(width));
    }
    for (const int32_t p : image.positions) {
      if (p < 0 || p >= config.vision.mm_posemb_size) {
        return Fail(ErrorCode::kInvalidArgument, "a picture cell at position " + std::to_string(p) +
                                                     " is beyond the model's table of " +
                                                     std::to_string(config.vision.mm_posemb_size));
      }
    }
  }
  return {};
}

// The media must fill the placeholders exactly, and the model must have the part that embeds them.
Status CheckMedia(const Session::Impl& session, const Prompt& prompt) {
  const ModelConfig& config = session.engine.config;
  if (prompt.types.size() != prompt.ids.size()) {
    return Fail(ErrorCode::kInternal, "a prompt with as many token types as ids was expected");
  }
  int64_t pictures = 0, sounds = 0;
  for (const TokenType type : prompt.types) {
    pictures += IsPicture(type);
    sounds += type == TokenType::kAudio;
  }
  if (pictures > 0 && session.engine.weights.vision.empty()) {
    return Fail(ErrorCode::kUnsupported, "this model cannot see: it has no vision embedder",
                "use a model with one, or put its mmproj file beside it");
  }
  if (sounds > 0 && session.engine.weights.audio.empty()) {
    return Fail(ErrorCode::kUnsupported, "this model cannot hear: it has no audio embedder",
                "use a model with one, or put its mmproj file beside it");
  }
  int64_t picture_rows = 0, sound_rows = 0;
  for (const ImageInput& image : prompt.images) picture_rows += image.rows;
  for (const AudioInput& clip : prompt.clips) {
    sound_rows += (static_cast<int64_t>(clip.samples.size()) + config.audio.frame_samples - 1) /
                  config.audio.frame_samples;
  }
  if (picture_rows != pictures || sound_rows != sounds) {
    return Fail(ErrorCode::kInvalidArgument,
                "the prompt has " + std::to_string(pictures) + " picture and " + std::to_string(sounds) +
                    " sound placeholders, but its media fill " + std::to_string(picture_rows) + " and " +
                    std::to_string(sound_rows));
  }
  return CheckPictures(config, prompt);
}

// The image block of every token as absolute positions: a maximal run of picture placeholders.
std::vector<KeyRange> Blocks(const Prompt& prompt, int64_t start) {
  const int64_t n = static_cast<int64_t>(prompt.types.size());
  std::vector<KeyRange> blocks(static_cast<size_t>(n), KeyRange{0, -1});
  for (int64_t t = 0; t < n;) {
    int64_t end = t;
    while (end < n && IsPicture(prompt.types[static_cast<size_t>(end)])) ++end;
    for (int64_t i = t; i < end; ++i) blocks[static_cast<size_t>(i)] = {start + t, start + end - 1};
    t = std::max(end, t + 1);
  }
  return blocks;
}

int64_t LargestBlock(const std::vector<KeyRange>& blocks) {
  int64_t largest = 1;
  for (const KeyRange& block : blocks) largest = std::max(largest, block.last - block.first + 1);
  return largest;
}

}  // namespace

void SuppressTokens(const ModelConfig& config, std::span<float> logits) {
  for (const int32_t id : config.tokens.suppressed) {
    logits[static_cast<size_t>(id)] = -std::numeric_limits<float>::infinity();
  }
}

Session::Session(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Session::~Session() = default;

Status Session::Impl::Forward(const CallRows& call, const std::atomic<bool>* cancel) {
  const int64_t rows = static_cast<int64_t>(call.ids.size()), start = cache.length();
  logits = {};
  LINNET_TRY(cache.ReserveRows(rows));
  LINNET_TRY(engine.CheckFiles());  // before the step, so that one that was cut meanwhile is not touched
  logit_rows.clear();
  for (int64_t r = all_logits ? 0 : rows - 1; r < rows; ++r) logit_rows.push_back(r);
  const Sequence sequence{&cache, rows, call.blocks};
  engine.decoder->set_probe(probe);
  Status done =
      engine.decoder->Forward({call.ids, call.soft, {&sequence, 1}, logit_rows, mask_rule, cancel}, output);
  if (done) done = engine.CheckFiles();  // after the step: nothing comes from bytes that changed during it
  if (!done) {
    const bool whole = start >= cache.shortest() && cache.Truncate(start);
    if (!whole) LINNET_TRY(cache.Truncate(0));
    return done;
  }
  const size_t width = static_cast<size_t>(output.logits.width);
  for (int64_t r = 0; r < output.logits.rows; ++r)
    SuppressTokens(engine.config, {output.logits.row(r), width});
  logits = {output.logits.row(output.logits.rows - 1), width};
  return {};
}

void Session::Impl::Reserve() {
  const int64_t rows = cache.rows_per_call();
  logit_rows.reserve(static_cast<size_t>(rows));
  engine.decoder->Reserve(rows);
  ReserveResults(all_logits ? rows : 1);
}

void Session::Impl::ReserveResults(int64_t rows) {
  if (output.Reserve(engine.config, rows)) logits = {};
}

Status Session::Impl::FeedPrompt(const Prompt& prompt, const FeedHooks& hooks) {
  const int64_t start = cache.length();
  const std::vector<KeyRange> block_of = Blocks(prompt, start);
  LINNET_TRY(cache.ReserveBlock(LargestBlock(block_of)));
  Reserve();

  SoftRows media(*this, prompt);
  const int64_t n = static_cast<int64_t>(prompt.ids.size());
  const int64_t width = engine.config.hidden_size;
  std::vector<int32_t> ids;
  std::vector<float> soft;
  for (int64_t begin = 0; begin < n;) {
    const int64_t end = WholeBlocksEnd(block_of, start, begin, cache.rows_per_call());
    ids.assign(prompt.ids.begin() + begin, prompt.ids.begin() + end);
    soft.clear();
    for (int64_t t = begin; t < end; ++t) {
      const TokenType type = prompt.types[static_cast<size_t>(t)];
      if (type == TokenType::kText) continue;
      ids[static_cast<size_t>(t - begin)] = -1;
      const float* row = media.Next(type);
      soft.insert(soft.end(), row, row + width);
    }
    const Rows soft_rows = MakeRows(soft.data(), static_cast<int64_t>(soft.size()) / width, width);
    const auto blocks =
        std::span(block_of).subspan(static_cast<size_t>(begin), static_cast<size_t>(end - begin));
    LINNET_TRY(Forward({ids, soft_rows, blocks}, hooks.cancel));
    begin = end;
    if (hooks.progress) hooks.progress(static_cast<double>(end) / static_cast<double>(n), kReading);
  }
  return {};
}

Status Session::Impl::FeedIds(std::span<const int32_t> ids, const FeedHooks& hooks) {
  const size_t rows = static_cast<size_t>(cache.rows_per_call());
  Reserve();
  for (size_t begin = 0; begin < ids.size();) {
    const size_t end = std::min(begin + rows, ids.size());
    LINNET_TRY(Forward({ids.subspan(begin, end - begin), {}, {}}, hooks.cancel));
    begin = end;
    if (!hooks.progress) continue;
    hooks.progress(static_cast<double>(end) / static_cast<double>(ids.size()), kReading);
  }
  return {};
}

Status Session::Feed(const Prompt& prompt, const FeedHooks& hooks) {
  LINNET_TRY(CheckIds(impl_->engine.config, prompt.ids));
  LINNET_TRY(CheckRoom(impl_->cache, prompt.ids.size()));
  LINNET_TRY(CheckMedia(*impl_, prompt));
  return WithinMemory(kPrompt, kLess, [&] { return impl_->FeedPrompt(prompt, hooks); });
}

Status Session::Feed(std::span<const int32_t> ids, const FeedHooks& hooks) {
  LINNET_TRY(CheckIds(impl_->engine.config, ids));
  LINNET_TRY(CheckRoom(impl_->cache, ids.size()));
  return WithinMemory(kPrompt, kLess, [&] { return impl_->FeedIds(ids, hooks); });
}

std::span<const float> Session::logits() const { return impl_->logits; }
int64_t Session::length() const { return impl_->cache.length(); }
int64_t Session::context() const { return impl_->cache.context(); }
uint64_t Session::cache_bytes() const { return impl_->cache.bytes(); }

Status Session::Truncate(int64_t length) {
  LINNET_TRY(impl_->cache.Truncate(length));
  impl_->logits = {};
  return {};
}

}  // namespace linnet
