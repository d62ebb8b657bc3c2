// A piece of a prompt that cannot be cut, a picture, on its way through the layers beside the steps of
// others: some parts of layers at a time, so that who writes does not wait for all of it.
//
// Thread safety: the engine's.
#pragma once

#include <cstdint>

#include "model/decoder.h"
#include "model/step.h"
#include "runtime/engine_impl.h"
#include "runtime/turn.h"

namespace linnet {

class ReadingAside {
 public:
  explicit ReadingAside(Engine::Impl& engine)
      : engine_(engine), decoder_(engine.config, engine.weights, engine.context) {}

  // Room for pieces of so many rows, unless one is being read. Throws std::bad_alloc.
  void Reserve(int64_t rows);

  // Whose piece is being read; null: none.
  Turn* turn() const { return turn_; }
  // Begins with what a turn wants. Errors: those of Step::Add(). REQUIRES: none is being read, Reserve()
  // covered it.
  Status Begin(Turn& turn, const SequenceRows& piece);
  // Goes on for so many seconds, at least for one part of a layer (Decoder::RunPart()); at its end the turn
  // is given what was computed, and a fault ends the turn.
  void Run(double seconds);
  // Gives it up; the turn's cache is as before it, or empty.
  void Drop();

 private:
  Engine::Impl& engine_;
  Decoder decoder_;  // its workspace holds the rows between two parts
  Step step_;
  Turn* turn_ = nullptr;
  double part_seconds_ = 0;  // of the last one
};

}  // namespace linnet
