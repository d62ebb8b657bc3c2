#!/bin/sh
# Fuzzes one target for so many seconds of processor time, from its seeds and from what earlier runs found.
# Usage: tests/fuzz/run.sh TARGET SECONDS CORPUS_DIRECTORY
#
# CORPUS_DIRECTORY lies outside the source tree and holds TARGET/ (inputs that reached something new), TARGET.findings/
# (inputs that broke something) and `ledger`, one line a piece: target, executions, processor seconds. LINNET_FUZZERS
# names another directory of programs than build/fuzz/tests/fuzz. Exit code 1: something was found.
set -eu
[ $# = 3 ] || { echo "usage: $0 TARGET SECONDS CORPUS_DIRECTORY" >&2; exit 2; }
target=$1 seconds=$2 corpus=$3
source=$(cd "$(dirname "$0")" && pwd)
program=${LINNET_FUZZERS:-$source/../../build/fuzz/tests/fuzz}/fuzz_$target
[ -x "$program" ] || { echo "$program is missing: make fuzz builds it" >&2; exit 2; }
[ -d "$source/seeds/$target" ] || { echo "tests/fuzz/seeds/$target is missing: every target has seeds" >&2; exit 2; }

piece=300  # seconds by the clock: no more than this of the ledger is lost where a run is broken off
mkdir -p "$corpus/$target" "$corpus/$target.findings"
log=$corpus/$target.piece

# Processor seconds of the children so far (the second line of `times`: user and system time). Not in a subshell, which
# would count its own.
spent() {
  times > "$corpus/$target.times"
  used=$(sed -n 2p "$corpus/$target.times" | tr 'ms' '  ' | awk '{print int($1 * 60 + $2 + $3 * 60 + $4)}')
}

found=0
spent
begin=$used
while [ "$found" = 0 ] && [ $((used - begin)) -lt "$seconds" ]; do
  before=$used
  left=$((seconds - used + begin))
  [ "$left" -lt "$piece" ] || left=$piece
  "$program" -max_total_time="$left" -timeout="${LINNET_FUZZ_TIMEOUT:-20}" -rss_limit_mb=2048 -print_final_stats=1 \
    -artifact_prefix="$corpus/$target.findings/" "$corpus/$target" "$source/seeds/$target" > "$log" 2>&1 || found=1
  spent
  executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  echo "$target ${executions:-0} $((used - before))" >> "$corpus/ledger"
done

awk -v target="$target" '$1 == target {executions += $2; seconds += $3}
  END {printf "%s: %d executions in %d seconds of processor time, over all runs\n", target, executions, seconds}' \
  "$corpus/ledger"
rm -f "$corpus/$target.times"
if [ "$found" = 1 ]; then
  echo "$target: FOUND something; the input is in $corpus/$target.findings" >&2
  grep -aE 'ERROR|SUMMARY|runtime error|CHECK' "$log" >&2 || tail -20 "$log" >&2
  exit 1
fi
