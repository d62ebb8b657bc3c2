// OpenAI's realtime transcription: GET /v1/realtime?intent=transcription, a WebSocket. What is committed is
// written down as /v1/audio/transcriptions writes down the same samples, one part after the other.
#pragma once

#include "server/speech_job.h"

namespace linnet {

// On the network's thread.
void RealtimeExchange(const AnswerFloor& floor, const MediaLoader& loader, const ExchangePtr& exchange);

}  // namespace linnet
