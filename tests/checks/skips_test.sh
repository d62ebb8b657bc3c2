#!/bin/sh
# skips.sh on an invented log: every skip is listed with its reason, and in CI only what rules excuse passes.
# Usage: skips_test.sh SOURCE_DIR
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/checks" "$work/asan/Testing/Temporary"
cp "$1/tests/checks/skips.sh" "$work/checks"
unset CI

fail() { echo "skips_test: $*" >&2; exit 1; }
log=$work/asan/Testing/Temporary/LastTest.log
cat > "$log" << 'END'
1/2 Testing: base
1/2 Test: base
Output:
----------------------------------------------------------
[ RUN      ] Sandbox.Limits
../../src/base/sandbox_test.cc:89: Skipped
the address sanitizer
reserves terabytes
[  SKIPPED ] Sandbox.Limits (0 ms)
[  PASSED  ] 3 tests.
[  SKIPPED ] Sandbox.Limits
<end of output>
2/2 Testing: arm
2/2 Test: arm
Output:
----------------------------------------------------------
SKIPPED, the emulator is missing
<end of output>
END
judge() {
  printf '%s\n' "$1" > "$work/checks/skips.txt"
  CI=true "$work/checks/skips.sh" "$work/asan" > "$work/said"
}

"$work/checks/skips.sh" "$work/asan" > "$work/said" || fail "skips are no error outside CI"
grep -qx '  asan, base: Sandbox.Limits: the address sanitizer reserves terabytes' "$work/said" || fail "$(cat "$work/said")"
grep -qx '  asan, arm: all of it: the emulator is missing' "$work/said" || fail "$(cat "$work/said")"
[ "$(grep -c '^  asan' "$work/said")" = 2 ] || fail "$(cat "$work/said")"

absent='lacks cpu:no_such_instruction'
judge "base: Sandbox.* $absent
arm: * $absent" || fail "what the machine lacks is excused"
! judge "base: Sandbox.* $absent" || fail "a skip without a rule is an error"
! judge "base: Sandbox.* $absent
arm: * lacks cpu:[a-z0-9_]*" || fail "a skip of what the machine has is an error"
judge "base: Sandbox.L* in asan
arm: * $absent" || fail "a build is an excuse where a rule says so"
! judge "base: Sandbox.L* in tsan
arm: * $absent" || fail "only in that build"
! judge "base: Sandbox.* lacks sense" 2> /dev/null || fail "a wrong rule is an error"

: > "$log"
judge "" || fail "no skip is no error"
grep -qx 'skipped: nothing' "$work/said"
