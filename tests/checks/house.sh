#!/bin/sh
# Rules of the house that the compiler does not check. Usage:
#   house.sh floors  ROOT            no include and no link upwards or sideways
#   house.sh length  ROOT            no source file over 600 lines
#   house.sh marks   ROOT            no notes to self
#   house.sh symbols OBJECT...       the objects hold no weak, unique or inline-function symbols
set -eu

# The folders that the sources of a folder may use besides their own (ARCHITECTURE.md).
below() {
  case "$1" in
    base) echo "" ;;
    tensor | kernels) echo "base" ;;
    io) echo "base tensor" ;;
    ops) echo "base tensor kernels" ;;
    model | quant) echo "base tensor kernels io ops" ;;
    text) echo "base io" ;;
    media) echo "base" ;;
    runtime) echo "base tensor kernels io ops model text media quant" ;;
    eval | train | assist) echo "base tensor kernels io ops model text media quant runtime" ;;
    server) echo "base tensor kernels io ops model text media quant runtime eval train assist" ;;
    cli) echo "base tensor kernels io ops model text media quant runtime eval train assist server" ;;
    *) echo "unknown folder src/$1: give it a floor in tests/checks/house.sh" >&2; exit 1 ;;
  esac
}

# Prints "FILE uses FOLDER" for each include or link of `folder` that is not allowed.
upward() {
  folder=$1
  allowed=" $(below "$folder") $folder "
  grep -noE '^#include "[a-z_]+/' "$folder"/*.h "$folder"/*.cc "$folder"/*.inc 2>/dev/null | sed 's/#include "\(.*\)\//\1/' |
    while IFS=: read -r file line used; do
      case "$allowed linnet " in *" $used "*) ;; *) echo "src/$file:$line uses $used" ;; esac
    done
  sed 's/#.*//' "$folder/CMakeLists.txt" | grep -oE 'linnet_[a-z_]+' | sort -u | sed 's/^linnet_//' |
    while read -r used; do
      [ -d "$used" ] || continue
      case "$allowed" in *" $used "*) ;; *) echo "src/$folder/CMakeLists.txt links $used" ;; esac
    done
}

check=$1
shift
case "$check" in
  floors)
    cd "$1/src"
    found=$(for cmake in */CMakeLists.txt; do upward "$(dirname "$cmake")"; done)
    ;;
  length)
    cd "$1"
    found=$(find src include tests tools bench -name '*.cc' -o -name '*.h' -o -name '*.inc' -o -name '*.py' -o -name '*.sh' 2>/dev/null |
      xargs wc -l | awk '$2 != "total" && $1 > 600 {print $2 ": " $1 " lines"}')
    ;;
  marks)
    cd "$1"
    found=$(grep -rnE '\b(TO''DO|FIX''ME|XX''X|HA''CK)\b' src include tests/e2e tests/fuzz tests/checks tools bench cmake \
      CMakeLists.txt Makefile 2>/dev/null || true)
    ;;
  symbols)
    # W, V: weak; u: unique global. An instruction-set file with one of these could lend its copy of a common function
    # to the whole program, which would then fail on an older processor.
    found=$("${NM:-nm}" -C "$@" | grep -E '^[0-9a-f]* *[WVu] ' || true)
    ;;
  *) echo "usage: house.sh floors|length|marks|symbols ..." >&2; exit 2 ;;
esac
if [ -n "$found" ]; then
  echo "$check:"
  echo "$found"
  exit 1
fi
