// Private to src/media: many channels to one, by their mean, as the reference loader does it. Where the mean
// is next to nothing because the channels cancel each other (one of them with its sign turned round), the
// loudest one is taken instead.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace linnet::media_internal {

class ChannelMixer {
 public:
  ChannelMixer() = default;
  // REQUIRES: channels >= 1, rate >= 1.
  ChannelMixer(int64_t channels, int64_t rate);

  // Takes one value a channel and appends what is decided to `out`: several channels are judged a quarter of
  // a second at once, from the first frame on, so the result does not depend on how they come. What is not
  // usable (IsUsableSample) becomes 0 in `frame` and is counted.
  void Add(std::span<float> frame, std::vector<float>& out);
  // Appends what is held back.
  void Finish(std::vector<float>& out);

  int64_t channels() const { return channels_; }
  int64_t rate() const { return rate_; }
  int64_t replaced() const { return replaced_; }
  bool cancelled() const { return cancelled_; }  // somewhere the mean was not used

 private:
  void EndBlock(std::vector<float>& out);

  int64_t channels_ = 0, rate_ = 0;
  size_t block_ = 0;           // frames judged together
  std::vector<float> values_;  // of this block, frame by frame
  std::vector<float> means_;
  std::vector<double> energies_;  // a channel
  int64_t replaced_ = 0;
  bool cancelled_ = false;
};

// What a person should know when cancelled().
inline constexpr const char* kCancelNote = "its channels cancel each other: the louder one is heard";

}  // namespace linnet::media_internal
