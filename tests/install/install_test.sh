#!/bin/sh
# Installs Linnet into an empty prefix and builds a program against it with find_package, shared and static, and with
# pkg-config; all three say the same. Usage: install_test.sh BUILD SOURCE COMPILER
set -eu
build=$1
source=$2/tests/install
compiler=$3
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
"$prefix/bin/linnet" run -p "what is in the picture" --image "$2/examples/shapes.png" > "$work/answer" ||
  fail "the installed program cannot see"
grep -q . "$work/answer" || fail "the installed program says nothing"

# with NAME OPTIONS...: configures and builds the program with CMake.
with() {
  name=$1
  shift
  { cmake -S "$source" -B "$work/$name" -DCMAKE_CXX_COMPILER="$compiler" -DCMAKE_PREFIX_PATH="$prefix" "$@" &&
    cmake --build "$work/$name"; } > "$work/log" 2>&1 || { cat "$work/log"; fail "$name does not build"; }
}
with shared
with static -DSTATIC=ON

export PKG_CONFIG_PATH="$directory/pkgconfig"
[ "$(pkg-config --modversion linnet)" ] || fail "pkg-config does not know it"
mkdir "$work/pkg"
# shellcheck disable=SC2046
"$compiler" -std=c++23 "$source/consumer.cc" $(pkg-config --cflags --libs linnet) -Wl,-rpath,"$directory" \
  -o "$work/pkg/consumer"
pkg-config --static --libs linnet | grep -q -- -lfmt || fail "linnet.pc says nothing about what liblinnet.a needs"

says=$("$work/shared/consumer")
[ -n "$says" ] || fail "the program says nothing"
for other in static pkg; do
  [ "$("$work/$other/consumer")" = "$says" ] || fail "with $other the program says something else"
done
readelf -d "$work/static/consumer" | grep -q liblinnet && fail "static is not static"
exit 0
