#!/bin/sh
# Installs Linnet into an empty prefix and builds examples/embed against it with find_package, shared and static, and
# with pkg-config; all say the same. Usage: install_test.sh BUILD SOURCE C_COMPILER CXX_COMPILER
set -eu
build=$1
examples=$2/examples
export CC=$3 CXX=$4
unset LINNET_MEDIA_HELPER
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
prefix=$work/moved/here

cmake --install "$build" --prefix "$work/first" > "$work/log" || { cat "$work/log"; exit 1; }
mkdir "$work/moved"
mv "$work/first" "$prefix"  # nothing may know where it lay

fail() { echo "install: $*" >&2; exit 1; }
library=$(find "$prefix" -name 'liblinnet.so')
[ -n "$library" ] || fail "no liblinnet.so"
directory=$(dirname "$library")
[ -e "$directory/liblinnet.a" ] || fail "no liblinnet.a"
LC_ALL=C readelf -d "$library" | grep -q 'SONAME.*liblinnet\.so\.[0-9]' || fail "its SONAME has no version"
# The installed program finds its helper.
"$prefix/bin/linnet" run -p "what is in the picture" --image "$examples/shapes.png" > "$work/answer" 2> "$work/log" ||
  fail "the installed program cannot see"
grep -q . "$work/answer" || fail "the installed program says nothing"

# with NAME OPTIONS...: configures and builds the programs with CMake.
with() {
  name=$1
  shift
  { cmake -S "$examples/embed" -B "$work/$name" -DCMAKE_PREFIX_PATH="$prefix" "$@" &&
    cmake --build "$work/$name" -j2; } > "$work/log" 2>&1 || { cat "$work/log"; fail "$name does not build"; }
}
with shared
with static -DSTATIC=ON
readelf -d "$work/static/question" | grep -q liblinnet && fail "static is not static"

export PKG_CONFIG_PATH="$directory/pkgconfig"
pkg-config --exists 'linnet >= 0.1' || fail "pkg-config does not know it"
mkdir "$work/pkg"
flags="$(pkg-config --cflags --libs linnet) -Wl,-rpath,$directory"
# shellcheck disable=SC2086
{ "$CC" -std=c99 -pedantic-errors -Wall -Wextra -Werror "$examples/embed/question.c" $flags -o "$work/pkg/question"
  "$CXX" -std=c++23 "$examples/embed/eight_at_once.cc" $flags -o "$work/pkg/eight_at_once"; }
mkdir "$work/pkg_static"
# shellcheck disable=SC2046
{ "$CC" "$examples/embed/question.c" $(pkg-config --cflags --libs linnet-static) -o "$work/pkg_static/question"
  "$CXX" -std=c++23 "$examples/embed/eight_at_once.cc" $(pkg-config --cflags --libs linnet-static) \
    -o "$work/pkg_static/eight_at_once"; }
readelf -d "$work/pkg_static/question" | grep -q liblinnet && fail "linnet-static is not static"
pkg-config --static --libs linnet | grep -q -- -lfmt || fail "linnet.pc says nothing about what liblinnet.a needs"

for kind in shared static pkg pkg_static; do
  "$work/$kind/question" '3 + 4' | grep -q 7 || fail "question ($kind) says something else"
  "$work/$kind/eight_at_once" | awk '$1 + $3 == $4 {++right} END {exit right != 8}' ||
    fail "eight_at_once ($kind) says something else"
done
"$work/shared/question" /nowhere/model 'x' 2> "$work/said" && fail "a model that is nowhere is no error"
grep -q /nowhere/model "$work/said" || fail "the error does not name the model"
"$work/shared/picture_and_sound" "$examples/shapes.png" "$examples/command.wav" > "$work/said" ||
  fail "picture_and_sound does not find its decoder"
[ "$(grep -c 'tokens): .' "$work/said")" = 2 ] || fail "picture_and_sound says too little"
