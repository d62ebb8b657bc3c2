// What the shared library lets programs see; everything else is hidden.
#pragma once

#define LINNET_API __attribute__((visibility("default")))
