// OpenAI's speech: POST /v1/audio/transcriptions and /v1/audio/translations.
#pragma once

#include "server/speech_job.h"

namespace linnet {

// `translate`: into English. On the network's thread.
void HearExchange(const AnswerFloor& floor, const MediaLoader& loader, const ExchangePtr& exchange,
                  bool translate);

}  // namespace linnet
