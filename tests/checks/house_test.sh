#!/bin/sh
# house.sh on trees that break one rule each: every check must find what it is there for, and nothing else.
# Usage: house_test.sh SOURCE_DIR
set -eu
house=$1/tests/checks/house.sh
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() { echo "house_test: $*" >&2; exit 1; }
# A tree with one file, which is read from standard input.
tree() {
  rm -rf "$work/tree"
  mkdir -p "$(dirname "$work/tree/$1")"
  cat > "$work/tree/$1"
}
# finds CHECK TEXT: the check fails and says TEXT.
finds() {
  code=0
  "$house" "$1" "$work/tree" > "$work/said" 2>&1 || code=$?
  [ "$code" != 77 ] || { cat "$work/said"; exit 77; }
  [ "$code" = 1 ] || fail "'$1' ended with $code instead of finding '$2'"
  grep -qF -- "$2" "$work/said" || fail "'$1' did not say '$2' but: $(cat "$work/said")"
}
passes() { "$house" "$1" "$work/tree" || fail "'$1' finds fault with what is right"; }
lines() { seq "$1" | sed "s/.*/  ++n;/"; }
repeat() { printf "%$1s" '' | sed "s/ /$2/g"; }

{ echo "// $(repeat 107 x)"; echo "// $(repeat 107 é)"; } | tree src/io/a.cc
passes columns
for file in src/io/a.cc src/kernels/a.inc include/linnet/a.h tests/e2e/a.cc bench/a.cc; do
  echo "const char* kText = R\"($(repeat 100 x))\";" | tree "$file"
  finds columns "$file:1: 126 characters"
done

seq 601 | sed 's/.*/int a;/' | tree src/io/a.inc
finds length "src/io/a.inc: 601 lines"

{ echo 'void Long(int n) {'; lines 58; echo '}'; } | tree src/io/a.cc
passes functions
# Every shape a function comes in.
for head in 'void Long(int n) {' 'template <typename T> LINNET_INLINE void Long(T n) {' 'TEST(Long, Name) {' \
  'Long::Long(int n) : n_(n) {' 'std::vector<std::pair<int, int>> Long(int n) {' 'struct S { int Long(int n) const {'; do
  { echo 'namespace linnet {'; echo 'namespace {'; echo "$head"; lines 59; echo '}'; echo '}'; echo '}'; } | tree src/io/a.inc
  finds functions ": 61 lines, at most 60"
done
{ echo 'TEST_F(Suite, Name) {'; echo '  auto f = [&](int a, int b) {'; lines 60; echo '  };'; echo '}'; } | tree tests/e2e/a.cc
finds functions ": 64 lines, at most 60"
for file in decoder drafter embedders; do
  { echo 'void Decoder::Step(int n) {'; lines 38; echo '}'; } | tree src/model/$file.cc
  finds functions "src/model/$file.cc:1 Step: 40 lines, at most 39"
done

echo 'void Five(std::map<int, int> a, int (*b)(int, int), int c, int d = f(1, 2), A e = {1, 2}) {}' | tree src/io/a.cc
passes functions
printf 'class C {\n  void Six(int a, int b, const std::vector<int>& c,\n           int d, int e, int f = 2) const;\n};\n' | tree include/linnet/a.h
finds functions "include/linnet/a.h:2 Six: 6 parameters, at most 5"

echo '#include "runtime/turn.h"' | tree src/cli/run.cc
finds public 'src/cli/run.cc:1:#include "runtime/turn.h"'
echo '#include "media/audio.h"' | tree examples/embed/a.cc
finds public 'examples/embed/a.cc:1:'
echo 'int* p = const_cast<int*>(q);' | tree src/io/a.cc
finds public 'src/io/a.cc:1:'
printf '#include "linnet/turn.h"\n#include "base/utf8.h"\n#include "cli/args.h"\n' | tree src/cli/run.cc
passes public
echo '#include "eval/bench.h"' | tree src/cli/bench.cc
passes public

echo '// TO''DO: later' | tree src/io/a.cc
finds marks "later"

echo 'linnet_library(io DEPS linnet_base)' | tree src/io/CMakeLists.txt
passes floors
mkdir -p "$work/tree/src/model" && echo '#include "model/config.h"' > "$work/tree/src/io/a.cc"
finds floors "src/io/a.cc:1 uses model"
