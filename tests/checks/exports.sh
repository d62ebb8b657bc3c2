#!/bin/sh
# What the shared library exports is what the public headers declare: functions of C named linnet_*, and functions,
# tables and type information of C++ whose class or function stands in include/linnet. Usage: exports.sh LIBRARY ROOT
set -eu
names=$(cat "$2"/include/linnet/*.h | grep -oE '\b[A-Za-z_]+\b' | sort -u)
symbols=$("${NM:-nm}" -D -C --defined-only "$1" | sed -E 's/^[0-9a-f]* //')
[ -n "$symbols" ] || { echo "exports: nothing is exported"; exit 1; }
found=$(printf '%s\n' "$symbols" | awk -v names="$names" '
  BEGIN { count = split(names, list, "\n"); for (i = 1; i <= count; ++i) known[list[i]] = 1 }
  {
    name = $0
    sub(/^[A-Za-z] /, "", name)
    sub(/^(vtable|typeinfo|typeinfo name) for /, "", name)
    if (name ~ /^linnet_[a-z_0-9]+$/ && known[name]) next
    if (name !~ /^linnet::/ || name ~ /::(Impl|\(anonymous namespace\))(::|\()/) { print; next }
    sub(/^linnet::/, "", name)
    sub(/[^A-Za-z_0-9].*/, "", name)
    if (!known[name]) print
  }')
if [ -n "$found" ]; then
  echo "exported, and in no public header (mark it LINNET_HIDDEN, or do not mark what holds it LINNET_API):"
  echo "$found"
  exit 1
fi
