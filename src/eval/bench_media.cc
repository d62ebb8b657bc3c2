#include "eval/bench_media.h"

#include <algorithm>
#include <array>
#include <memory>
#include <utility>

#include <fmt/format.h>

#include "base/stopwatch.h"
#include "media/audio.h"
#include "media/patches.h"
#include "media/resample.h"
#include "model/embedders.h"
#include "quant/synthetic.h"
#include "runtime/engine_impl.h"
#include "runtime/memory_fit.h"

namespace linnet {
namespace {

constexpr int64_t kPrefillTokens = 256;
constexpr int64_t kSoundSeconds = 30;
constexpr int64_t kSoundRate = 48000;

// Bytes without a pattern, as a photograph's are.
Picture MadeUpPicture(int64_t height, int64_t width) {
  Picture picture;
  picture.height = height;
  picture.width = width;
  picture.rgb.resize(static_cast<size_t>(3 * height * width));
  uint32_t state = 12345;
  for (uint8_t& byte : picture.rgb) {
    state = state * 1664525u + 1013904223u;
    byte = static_cast<uint8_t>(state >> 24);
  }
  return picture;
}

class MediaBench {
 public:
  MediaBench(const MediaBenchOptions& options, const Progress& progress)
      : options_(options), progress_(progress) {}

  Result<MediaBenchResult> Run() {
    LINNET_TRY(Load());
    const Engine::Impl& e = engine_->impl();
    if (e.weights.vision.empty() || e.weights.audio.projection.empty()) {
      return Fail(ErrorCode::kUnsupported, "this model takes no pictures or no sound",
                  "measure another, or a synthetic one");
    }
    result_.kernels = e.context.kernels().name;
    result_.threads = e.pool.threads();
    LINNET_TRY(Prefill());
    for (const auto& [height, width, budget] :
         {std::array<int64_t, 3>{1080, 1920, 1120}, {3000, 4000, 1120}, {480, 640, 280}}) {
      LINNET_TRY(MeasurePicture(height, width, budget));
    }
    LINNET_TRY(MeasureSound());
    for (FrontEndCost& cost : result_.costs)
      cost.prefill_seconds = static_cast<double>(cost.tokens) / result_.prefill_tok_s;
    return result_;
  }

 private:
  void Say(double fraction, std::string_view what) {
    if (progress_) progress_(fraction, what);
  }

  Status Load() {
    if (options_.synthetic.empty()) {
      LINNET_ASSIGN(engine_, LoadEngine(options_.load, false, progress_));
      result_.model = options_.load.model.empty() ? "Chick (built in)" : options_.load.model;
      return {};
    }
    LINNET_ASSIGN(SyntheticModel model, MakeSynthetic(options_.synthetic, true));
    LINNET_TRY(
        RequireFit({.config = &model.config, .text = model.source.get(), .multimodal = model.source.get()},
                   options_.load, "synthetic " + options_.synthetic));
    LINNET_ASSIGN(engine_, EngineOf({std::move(model.config), *model.source, model.source.get()},
                                    options_.load.threads, progress_));
    result_.model = "synthetic " + options_.synthetic;
    return {};
  }

  Status Prefill() {
    Say(0.3, "reading a prompt");
    std::vector<int32_t> ids(kPrefillTokens);
    for (size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<int32_t>(10 + i % 500);
    SessionOptions session_options;
    session_options.context = kPrefillTokens + 64;
    session_options.rows_per_call = kPrefillTokens;
    LINNET_ASSIGN(const std::unique_ptr<Session> session, engine_->NewSession(session_options));
    double best = 1e30;
    for (int64_t i = 0; i < options_.repeat; ++i) {
      LINNET_TRY(session->Truncate(0));
      Status fed;
      best = std::min(best, SecondsOf([&] { fed = session->Feed(ids); }));
      LINNET_TRY(fed);
    }
    result_.prefill_tok_s = static_cast<double>(kPrefillTokens) / best;
    return {};
  }

  Status MeasurePicture(int64_t height, int64_t width, int64_t budget) {
    Say(0.8, "pictures");
    Engine::Impl& e = engine_->impl();
    const Picture picture = MadeUpPicture(height, width);
    FrontEndCost cost{fmt::format("a picture of {} x {} at {}", width, height, budget), 0, 1e30, 1e30};
    const int64_t hidden = e.config.hidden_size;
    for (int64_t i = 0; i < options_.repeat; ++i) {
      Result<PatchRows> rows;
      cost.prepare_seconds =
          std::min(cost.prepare_seconds,
                   SecondsOf([&] { rows = PreparePicture(picture, budget, e.config.vision.cell()); }));
      LINNET_TRY(rows);
      cost.tokens = rows->rows;
      std::vector<float> out(static_cast<size_t>(rows->rows * hidden));
      std::vector<float> values(rows->pixels.size());
      cost.embed_seconds = std::min(
          cost.embed_seconds, SecondsOf([&] {
            ScalePixels(rows->pixels, PixelScale::kProduct, values);
            EmbedImage(e.context, {e.config.vision, e.weights.vision},
                       {MakeRows(values.data(), rows->rows, e.config.vision.patch_values()), rows->positions},
                       {out.data(), rows->rows, hidden, hidden});
          }));
    }
    result_.costs.push_back(std::move(cost));
    return {};
  }

  Status MeasureSound() {
    Say(0.9, "sound");
    Engine::Impl& e = engine_->impl();
    std::vector<float> sound(static_cast<size_t>(kSoundSeconds * kSoundRate));
    uint32_t state = 1;
    for (float& sample : sound) {
      state = state * 1664525u + 1013904223u;
      sample = static_cast<float>(static_cast<int32_t>(state)) * 0x1p-33f;
    }
    FrontEndCost cost{fmt::format("{} s of sound at {} kHz", kSoundSeconds, kSoundRate / 1000), 0, 1e30,
                      1e30};
    const int64_t hidden = e.config.hidden_size, frame = e.config.audio.frame_samples;
    for (int64_t i = 0; i < options_.repeat; ++i) {
      std::vector<float> frames;
      Status resampled;
      cost.prepare_seconds = std::min(cost.prepare_seconds, SecondsOf([&] {
                                        auto resampler = Resampler::Create(kSoundRate, kSampleRate);
                                        std::vector<float> samples;
                                        resampled = resampler->Push(sound, samples);
                                        if (resampled) resampled = resampler->Finish(samples);
                                        frames = CutFrames(samples, frame);
                                      }));
      LINNET_TRY(resampled);
      cost.tokens = static_cast<int64_t>(frames.size()) / frame;
      std::vector<float> out(static_cast<size_t>(cost.tokens * hidden));
      cost.embed_seconds = std::min(cost.embed_seconds, SecondsOf([&] {
                                      EmbedAudio(e.context, {e.config.audio, e.weights.audio},
                                                 {frames.data(), cost.tokens, frame, frame},
                                                 {out.data(), cost.tokens, hidden, hidden});
                                    }));
    }
    result_.costs.push_back(std::move(cost));
    return {};
  }

  const MediaBenchOptions& options_;
  const Progress& progress_;
  std::unique_ptr<Engine> engine_;
  MediaBenchResult result_;
};

}  // namespace

Result<MediaBenchResult> RunMediaBench(const MediaBenchOptions& options, const Progress& progress) {
  return MediaBench(options, progress).Run();
}

}  // namespace linnet
