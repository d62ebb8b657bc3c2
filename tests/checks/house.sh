#!/bin/sh
# Rules of the house that the compiler does not check. Usage:
#   house.sh floors  ROOT            no include and no link upwards or sideways
#   house.sh public  ROOT            the command line and the examples use the public headers and base alone, apart from the
#                                    commands that show internals; no const_cast
#   house.sh length  ROOT            no source file over 600 lines
#   house.sh columns ROOT            no line of C++ over 110 characters
#   house.sh functions ROOT          no function over 60 lines (39 where the forward pass is) or with more than five
#                                    parameters; exit code 77 where Universal Ctags is missing
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
    model) echo "base tensor kernels io ops" ;;
    text) echo "base io" ;;
    media) echo "base" ;;
    runtime) echo "base tensor kernels io ops model text media" ;;
    quant | train | assist) echo "base tensor kernels io ops model text media runtime" ;;
    eval) echo "base tensor kernels io ops model text media runtime quant" ;;
    api) echo "base tensor kernels io ops model text media runtime quant eval train assist" ;;
    server) echo "base tensor kernels io ops model text media runtime quant eval train assist" ;;
    cli) echo "base tensor kernels io ops model text media runtime quant eval train assist server" ;;
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

cpp_files() { find src include tests bench tools \( -name '*.cc' -o -name '*.h' -o -name '*.inc' \) 2>/dev/null; }

# Prints "FILE:LINE NAME ..." for every function, from ctags' lines: name, file, pattern, then key:value fields.
# Commas inside brackets separate no parameters; TEST(Suite, Name) has two.
judge_functions() {
  awk -F '\t' '
    function parameters(text,    i, c, depth, count) {
      gsub(/->|<=|>=|<<|>>=/, "", text)
      count = text ~ /^\( *(void)? *\)/ ? 0 : 1
      for (i = 1; i <= length(text); ++i) {
        c = substr(text, i, 1)
        if (index("(<{[", c)) ++depth
        if (index(")>}]", c)) --depth
        if (c == "," && depth == 1) ++count
      }
      return count
    }
    {
      line = end = 0; signature = ""
      for (i = 4; i <= NF; ++i) {
        if ($i ~ /^line:/) line = substr($i, 6)
        if ($i ~ /^end:/) end = substr($i, 5)
        if ($i ~ /^signature:/) signature = substr($i, 11)
      }
      most = $2 ~ /^src\/model\/(decoder|drafter|embedders)\.cc$/ ? 39 : 60
      lines = end ? end - line + 1 : 0
      if (lines > most) print $2 ":" line " " $1 ": " lines " lines, at most " most
      count = parameters(signature)  # mmap: the system calls it so, a test replaces it
      if (count > 5 && $1 != "mmap") print $2 ":" line " " $1 ": " count " parameters, at most 5"
    }'
}

check=$1
shift
case "$check" in
  floors)
    cd "$1/src"
    found=$(for cmake in */CMakeLists.txt; do upward "$(dirname "$cmake")"; done)
    ;;
  public)
    cd "$1"
    found=$(find src/cli examples -name '*.c' -o -name '*.cc' -o -name '*.h' 2>/dev/null |
      xargs grep -HnE '^#include "' /dev/null |
      grep -vE '^src/cli/(bench|parity|perplexity|convert|fit|info|inspect|plan_args|quantise)\.(cc|h):' |
      grep -vE '^src/cli/serve\.cc:.*"server/server\.h"' |
      grep -vE '#include "(linnet|base|cli)/' || true
      grep -rn 'const_cast<' --include='*.cc' --include='*.h' src include bench examples 2>/dev/null || true)
    ;;
  length)
    cd "$1"
    found=$(find src include tests tools bench -name '*.cc' -o -name '*.h' -o -name '*.inc' -o -name '*.py' -o -name '*.sh' 2>/dev/null |
      xargs wc -l | awk '$2 != "total" && $1 > 600 {print $2 ": " $1 " lines"}')
    ;;
  columns)
    cd "$1"
    # Characters, not bytes: what follows the first byte of one does not count.
    found=$(cpp_files | LC_ALL=C xargs awk '{line = $0; gsub(/[\200-\277]/, "", line)}
      length(line) > 110 {print FILENAME ":" FNR ": " length(line) " characters"}')
    ;;
  functions)
    cd "$1"
    ctags=""
    for program in ctags-universal ctags; do
      if "$program" --version 2>/dev/null | grep -q 'Universal Ctags'; then ctags=$program && break; fi
    done
    [ -n "$ctags" ] || { echo "SKIPPED: Universal Ctags is missing (tools/setup.sh tests installs it)"; exit 77; }
    tags=$(cpp_files | "$ctags" --quiet --options=NONE --languages=C++ --langmap=C++:.cc.h.inc --kinds-C++=fp \
      --fields=neS --sort=no -f - -L -)
    found=$(printf '%s\n' "$tags" | judge_functions)
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
  *) echo "usage: house.sh floors|public|length|columns|functions|marks|symbols ..." >&2; exit 2 ;;
esac
if [ -n "$found" ]; then
  echo "$check:"
  echo "$found"
  exit 1
fi
