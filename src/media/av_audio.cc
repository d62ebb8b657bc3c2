#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "media/av.h"
#include "media/av_input.h"
#include "media/av_mixer.h"
#include "media/container.h"
#include "media/links.h"
#include "media/note.h"
#include "media/sample_queue.h"

namespace linnet {
namespace {

using media_internal::AvInput;

// The clocks of containers are coarse, and those of devices unsteady: less than this is no gap.
constexpr double kSteady = 0.04;
// Time that goes back by more than this has begun anew, in the middle of a file that was put together.
constexpr double kTurnedBack = 0.3;
// Silence that time stamps may ask for, in a whole file. More is a clock that was set, or made to do harm.
constexpr double kMostSilence = 6 * 3600.0;
constexpr int64_t kSilencePiece = 1 << 14;

// The stamps of frames against the samples that came: where silence belongs.
class TimeLine {
 public:
  // Seconds of silence before a frame that is stamped like this and lasts this long.
  double SilenceBefore(double stamp, double duration) {
    double at = stamp + shift_;
    if (starts_anew_ || at < end_ - kTurnedBack) shift_ += end_ - at, at = end_;
    const double tolerance = begun_ ? kSteady : 0.0;
    begun_ = true;
    starts_anew_ = false;
    double silence = at - given_ > tolerance ? at - given_ : 0.0;
    if (silence > kMostSilence - silence_) {
      longest_jump_ = std::max(longest_jump_, silence);
      shift_ -= silence;
      at -= silence;
      silence = 0;
    }
    silence_ += silence;
    given_ += silence + duration;
    end_ = at + duration;
    return silence;
  }
  // A frame without a stamp follows the one before it.
  void Pass(double duration) { given_ += duration, end_ += duration, begun_ = true; }
  // What comes goes on where the last frame ended, whatever its stamps say.
  void StartAnew() { starts_anew_ = begun_, end_ = given_; }
  // What comes has stamps from 0 that are meant from here.
  void StartAnewAt(double seconds) { shift_ = end_ = std::max(seconds, given_); }

  double given() const { return given_; }
  double longest_jump() const { return longest_jump_; }  // that was left out

 private:
  double given_ = 0;    // seconds of samples and silence
  double end_ = 0;      // of the last frame, by the stamps
  double shift_ = 0;    // added to stamps
  double silence_ = 0;  // so far
  double longest_jump_ = 0;
  bool begun_ = false, starts_anew_ = false;
};

class AvAudio : public MonoSource {
 public:
  static Result<std::unique_ptr<MonoSource>> Open(std::span<const uint8_t> bytes) {
    std::unique_ptr<AvAudio> source(new AvAudio);
    source->bytes_ = bytes;
    source->rest_ = bytes;
    Status opened = source->OpenLink();
    while (!opened && !source->rest_.empty()) opened = source->OpenLink();
    LINNET_TRY(opened);
    // The first frame knows rate and channels for certain; headers may be wrong or silent.
    LINNET_ASSIGN(source->frame_, source->input_->Next());
    if (source->frame_ == nullptr) {
      return Fail(ErrorCode::kBadFile, "its sound cannot be decoded", "the file is damaged or cut off");
    }
    AudioInfo& info = source->info_;
    info.rate = source->rate_ = source->frame_->sample_rate;
    info.channels = source->frame_->ch_layout.nb_channels;
    info.format = source->input_->FormatName();
    if (!source->chained_) info.seconds = source->input_->LengthSeconds();
    return std::unique_ptr<MonoSource>(std::move(source));
  }

  const AudioInfo& info() const override { return info_; }
  int64_t rate() const override { return rate_; }
  int64_t replaced() const override { return mixer_.replaced(); }

  Result<size_t> Read(std::span<float> out) override {
    return samples_.ReadSome(out, [this] { return Refill(); });
  }

 private:
  // The next part of a chained file, or the file. Pictures and sound of parts with a clock begin together.
  Status OpenLink() {
    const std::span<const uint8_t> link = rest_.first(media_internal::FirstLink(rest_));
    rest_ = rest_.subspan(link.size());
    chained_ = link.size() < bytes_.size();
    const bool clocked = !media_internal::IsOgg(link);
    clocked ? time_.StartAnewAt(link_begin_) : time_.StartAnew();
    if (clocked && !rest_.empty()) link_begin_ += AvInput::Probe(link).seconds;
    LINNET_ASSIGN(input_, AvInput::Open(link, AVMEDIA_TYPE_AUDIO));
    link_given_ = time_.given();
    return {};
  }

  // Puts the next samples, all of one rate, into the empty queue.
  Status Refill() {
    if (silence_ > 0) {
      const int64_t count = std::min(silence_, kSilencePiece);
      samples_.ready.resize(static_cast<size_t>(count));
      silence_ -= count;
      return {};
    }
    if (frame_ == nullptr) {
      LINNET_ASSIGN(frame_, input_->Next());
      placed_ = false;
    }
    if (frame_ == nullptr) return EndLink();
    if (!placed_) Place();
    if (silence_ > 0 || !mixer_.Fits(*frame_)) {
      mixer_.Finish(samples_.ready);  // of the rate before
      if (!samples_.ready.empty() || silence_ > 0) return {};
    }
    rate_ = frame_->sample_rate;
    const AVFrame& frame = *std::exchange(frame_, nullptr);
    return mixer_.Mix(frame, samples_.ready);
  }

  void Place() {
    placed_ = true;
    if (frame_->sample_rate < 1) return;  // for the mixer to refuse
    const double duration = static_cast<double>(frame_->nb_samples) / frame_->sample_rate;
    if (frame_->best_effort_timestamp == AV_NOPTS_VALUE || !input_->HasStamps()) return time_.Pass(duration);
    const double silence = time_.SilenceBefore(input_->SecondsOf(frame_->best_effort_timestamp), duration);
    silence_ = std::llround(silence * static_cast<double>(rate_));
  }

  Status EndLink() {
    skipped_ += input_->skipped();
    constexpr double kUnnoticed = 0.1;
    short_ |= input_->LengthIsTold() && time_.given() - link_given_ < input_->LengthSeconds() - kUnnoticed;
    while (!rest_.empty()) {
      const Status opened = OpenLink();
      if (opened) return {};
      if (opened.error().code != ErrorCode::kUnsupported) ++skipped_;  // there may be pictures alone
    }
    mixer_.Finish(samples_.ready);
    samples_.ended = true;
    TellAll();
    return {};
  }

  void TellAll() {
    if (short_ || media_internal::EndsEarly(bytes_)) {
      AddNote(info_.note, media_internal::kUnfinishedNote);
    } else if (skipped_ > 0) {
      AddNote(info_.note,
              fmt::format("{} damaged piece{} left out", skipped_, skipped_ == 1 ? " was" : "s were"));
    }
    if (mixer_.cancelled()) AddNote(info_.note, media_internal::kCancelNote);
    if (time_.longest_jump() > 0) {
      AddNote(info_.note,
              fmt::format("its time stamps jump ahead by {:.0f} s: the sound goes on without that silence",
                          time_.longest_jump()));
    }
    if (input_->OriginSeconds() > 0 && input_->CountsFromZero()) {
      AddNote(info_.note, fmt::format("its time stamps begin at {:.0f} s: times are counted from there",
                                      input_->OriginSeconds()));
    }
  }

  std::span<const uint8_t> bytes_, rest_;   // all, and what follows this link
  bool chained_ = false;                    // there are several links
  double link_begin_ = 0, link_given_ = 0;  // of the next by the clock; what was given before this one
  bool short_ = false;                      // of the length that a link tells
  std::unique_ptr<AvInput> input_;
  const AVFrame* frame_ = nullptr;  // the next one, not yet mixed
  bool placed_ = false;             // on the time line
  int64_t silence_ = 0;             // samples that come before it
  int64_t rate_ = 0, skipped_ = 0;
  TimeLine time_;
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
