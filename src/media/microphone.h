// Sound as it is spoken, from a device of the system: OpenMicrophone() of linnet/media.h. The program
// `linnet-microphone` records it; where the build has no libavdevice there is no such program.
#pragma once

#include "linnet/media.h"
