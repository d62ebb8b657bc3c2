// Every subcommand of `linnet`, one file each.
#pragma once

#include "cli/args.h"

namespace linnet {

Command BenchCommand();
Command ConvertCommand();
Command FitCommand();
Command InfoCommand();
Command InspectCommand();
Command ParityCommand();
Command PerplexityCommand();
Command QuantiseCommand();
Command RunCommand();
Command ServeCommand();
Command SessionCommand();
Command TranscribeCommand();
Command TranslateCommand();

}  // namespace linnet
