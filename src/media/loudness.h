// How loud a sound is, as it passes by, and whether a quiet one has to be made louder to be heard.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace linnet {

class LoudnessMeter {
 public:
  void Push(std::span<const float> samples);  // 16 kHz mono

  bool IsLoud() const;    // something was loud enough to be heard as it is
  bool IsSilent() const;  // nothing is there but what rounding leaves
  // What a quiet sound has to be multiplied with; 1 for one that is loud, or silent, or nothing but even
  // noise.
  float Gain() const;
  // What a person should know of a whole sound that was multiplied with `gain` after it passed here; usually
  // empty.
  std::string Note(float gain) const;

 private:
  void EndFrame();

  float loudest_ = -1000.0f, quietest_ = 1000.0f;  // dB of 20 ms
  double sum_ = 0;                                 // of squares in this frame
  size_t count_ = 0;                               // samples of it
};

}  // namespace linnet
