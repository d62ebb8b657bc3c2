#include <utility>

#include <fmt/format.h>

#include "media/av.h"
#include "media/av_input.h"
#include "media/av_mixer.h"
#include "media/sample_queue.h"

namespace linnet {
namespace {

using media_internal::AvInput;

class AvAudio : public MonoSource {
 public:
  static Result<std::unique_ptr<MonoSource>> Open(std::span<const uint8_t> bytes) {
    std::unique_ptr<AvAudio> source(new AvAudio);
    LINNET_ASSIGN(source->input_, AvInput::Open(bytes, AVMEDIA_TYPE_AUDIO));
    // The first frame knows rate and channels for certain; headers may be wrong or silent.
    LINNET_TRY(source->Refill());
    if (source->mixer_.rate() == 0) {
      return Fail(ErrorCode::kBadFile, "its sound cannot be decoded", "the file is damaged or cut off");
    }
    source->info_.rate = source->mixer_.rate();
    source->info_.channels = source->mixer_.channels();
    source->info_.format = source->input_->FormatName();
    source->info_.seconds = source->input_->LengthSeconds();
    return std::unique_ptr<MonoSource>(std::move(source));
  }

  const AudioInfo& info() const override { return info_; }
  int64_t replaced() const override { return mixer_.replaced(); }

  Result<size_t> Read(std::span<float> out) override {
    return samples_.Read(out, [this] { return Refill(); });
  }

 private:
  Status Refill() {
    LINNET_ASSIGN(const AVFrame* frame, input_->Next());
    if (frame != nullptr) return mixer_.Mix(*frame, samples_.ready);
    samples_.ended = true;
    if (input_->skipped() > 0) info_.note = fmt::format("{} damaged pieces were left out", input_->skipped());
    return {};
  }

  std::unique_ptr<AvInput> input_;
  media_internal::AvMixer mixer_;
  media_internal::SampleQueue samples_;
  AudioInfo info_;
};

}  // namespace

bool AvAvailable() { return true; }

Result<std::unique_ptr<MonoSource>> OpenAvAudio(std::span<const uint8_t> bytes) {
  return AvAudio::Open(bytes);
}

}  // namespace linnet
