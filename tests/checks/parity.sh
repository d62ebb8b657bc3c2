#!/bin/sh
# The reference data passes, and all of it was run: a case that is gone or not run any more shows in the last line.
# Usage: parity.sh PROGRAM DIRECTORY "LAST LINE"
set -u
output=$("$1" parity "$2")
code=$?
printf '%s\n' "$output"
last=$(printf '%s\n' "$output" | tail -n 1)
[ "$code" -eq 0 ] && [ "$last" = "$3" ] && exit 0
echo "exit code $code and \"$last\" instead of 0 and \"$3\" (tests/CMakeLists.txt)" >&2
exit 1
