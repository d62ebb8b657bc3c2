#!/bin/sh
# tools/compare_peers.py with an invented peer: it takes turns, reads the peer's figures and gives up where one fails.
# Usage: compare_peers_test.sh LINNET SOURCE_DIR
set -eu
command -v python3 > /dev/null || { echo "SKIPPED: python3 is missing (tools/setup.sh tests installs it)"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$1" convert "$2/models/chick" "$work/chick.gguf" --type q8_0 > /dev/null

cat > "$work/peer" << 'PEER'
#!/bin/sh
echo "$*" >> "$0.calls"
echo '[{"n_prompt": 8, "n_gen": 0, "avg_ts": 1234.5}, {"n_prompt": 0, "n_gen": 2, "avg_ts": 67.5}]'
PEER
chmod +x "$work/peer"
linnet=$1 source=$2
run() { python3 "$source/tools/compare_peers.py" "$linnet" "$work/chick.gguf" --threads 1 --prompt 8 --generate 2 "$@"; }

run --rounds 2 --peer "invented=$work/peer -rtr 1" > "$work/table" 2> "$work/progress"
grep -q '^| Linnet | [0-9]' "$work/table"
grep -q '^| invented | 1234 (1234 to 1234), Linnet is [0-9.]* times | 67.5 (67.5 to 67.5), Linnet' "$work/table"
[ "$(grep -c 'round [12] of 2: ' "$work/progress")" = 4 ]
[ "$(grep -c -- '-rtr 1 -m .*chick.gguf -t 1 -p 8 -n 2 -r 1 -o json' "$work/peer.calls")" = 2 ]

run --rounds 1 --peer "invented=$work/peer" --json 2> /dev/null | grep -q '"generate": 67.5'

printf '#!/bin/sh\necho "no such model" >&2\nexit 3\n' > "$work/broken"
chmod +x "$work/broken"
if run --rounds 1 --peer "broken=$work/broken" > /dev/null 2> "$work/error"; then exit 1; fi
grep -q 'broken: exit code 3: no such model' "$work/error"
if run --peer "$work/peer" > /dev/null 2>&1; then exit 1; fi
