// What the shared library lets programs see; everything else is hidden.
#pragma once

#define LINNET_API __attribute__((visibility("default")))
// What belongs to a visible class and is hidden all the same.
#define LINNET_HIDDEN __attribute__((visibility("hidden")))
