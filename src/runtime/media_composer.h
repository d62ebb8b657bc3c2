// Puts pictures, sounds and videos into a message so that they fit what the context has left: budgets of
// pictures, frames of videos, parts of long sounds. What was reduced is told, nothing is dropped silently.
#pragma once

#include <vector>

#include "linnet/conversation.h"
#include "linnet/error.h"
#include "linnet/media.h"
#include "model/config.h"

namespace linnet {

// Conversation::Attach() with the room that it has.
Result<std::vector<MediaUse>> AddMedia(const MediaLoader& loader, const ModelConfig& config, MediaRoom room,
                                       std::vector<MediaPart> parts, UserMessage& message);

// Conversation::RoomForSound() with the room that it has.
Result<double> RoomForSound(const ModelConfig& config, MediaRoom room);

}  // namespace linnet
