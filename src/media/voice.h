// Cuts a long sound at its pauses into pieces short enough for the model, by energy, as it is read: memory
// holds one piece and a few seconds. Nothing that can be heard is dropped; samples outside all pieces are
// silence.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <vector>

#include "linnet/error.h"
#include "linnet/speech.h"
#include "media/audio.h"

namespace linnet {

struct VoicePiece {
  int64_t begin = 0;  // sample of the recording, at 16 kHz
  std::vector<float> samples;

  double begin_seconds() const { return static_cast<double>(begin) / kSampleRate; }
  double end_seconds() const { return begin_seconds() + static_cast<double>(samples.size()) / kSampleRate; }
};

class VoiceSplitter {
 public:
  // Errors: kInvalidArgument for a piece below 1 s or above 30 s, another time below 0 or above 5 s, a share
  // that is not within 0 and 1.
  static Result<VoiceSplitter> Create(const SplitOptions& options = {});

  void Push(std::span<const float> samples);  // 16 kHz mono
  void Finish();                              // no more samples come
  // The next piece that is complete. Pieces come in order and do not overlap.
  std::optional<VoicePiece> Next();

  // The first sample of a piece that has begun and is not complete: one will come that begins there.
  std::optional<int64_t> Begun() const;
  // No piece that is still to come begins before this sample.
  int64_t oldest() const { return base_; }
  int64_t samples() const { return base_ + static_cast<int64_t>(held_.size()); }  // pushed so far

 private:
  explicit VoiceSplitter(const SplitOptions& options);

  void Measure();
  bool IsSound(int64_t frame) const;
  int64_t QuietestFrame(int64_t from, int64_t to) const;
  VoicePiece Take(int64_t first_frame, int64_t end_frame);
  void Forget(int64_t frame);
  float level(int64_t frame) const { return levels_[static_cast<size_t>(frame - first_)].energy; }

  struct Level {
    float energy;     // dB
    float threshold;  // dB: louder is sound
  };

  int64_t max_frames_, pause_frames_, pad_frames_, lookahead_;
  float share_;
  std::vector<float> held_;  // samples from base_ on
  int64_t base_ = 0;
  std::deque<Level> levels_;  // of frames from first_ on
  int64_t first_ = 0;
  int64_t scan_ = 0;    // the next frame to judge
  int64_t begin_ = -1;  // first frame of the open piece, -1 = silence
  int64_t last_sound_ = 0;
  int64_t given_ = 0;  // frames before this are in a piece already
  float floor_ = 0, loud_ = 0;
  bool finished_ = false;
};

// Cuts a sound into parts of at most `max_samples` (1 to 30 s) that together are all of it, silence too: in
// the middle of its pauses, or where it is quietest when none is near enough. Errors: kInvalidArgument.
Result<std::vector<std::span<const float>>> CutAtPauses(std::span<const float> samples, int64_t max_samples);

}  // namespace linnet
