#!/bin/sh
# exports.sh on libraries that export one thing too many. Usage: exports_test.sh SOURCE_DIR
set -eu
exports=$1/tests/checks/exports.sh
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/include/linnet"
echo 'extern "C" int linnet_good(); namespace linnet { class Good; }' > "$work/include/linnet/a.h"

fail() { echo "exports_test: $*" >&2; exit 1; }
# library CODE: the library of it.
library() {
  { echo 'extern "C" int linnet_good() { return 1; }'
    echo 'namespace linnet { class Good { public: struct Impl { int Run(); }; virtual int Run(); virtual ~Good(); }; }'
    echo 'namespace linnet { int Good::Run() { return 2; } Good::~Good() = default; }'
    echo "$1"; } > "$work/a.cc"
  "${CXX:-c++}" -shared -fPIC "$work/a.cc" -o "$work/a.so"
}
# finds CODE TEXT
finds() {
  library "$1"
  "$exports" "$work/a.so" "$work" > "$work/said" && fail "nothing was found in: $1"
  grep -qF -- "$2" "$work/said" || fail "'$2' was not said but: $(cat "$work/said")"
}

library ''
"$exports" "$work/a.so" "$work" || fail "fault is found with what is right"
finds 'extern "C" int linnet_other() { return 3; }' linnet_other
finds 'extern "C" int png_read() { return 3; }' png_read
finds 'namespace linnet { int Hidden() { return 3; } }' 'linnet::Hidden()'
finds 'namespace linnet { int Good::Impl::Run() { return 3; } }' 'linnet::Good::Impl::Run()'
finds 'namespace fmt { int format() { return 3; } }' 'fmt::format()'
exit 0
