#!/bin/sh
# Lists by name what the last run of ctest in each build directory skipped, with its reason. With CI set, a skip that
# tests/checks/skips.txt does not excuse on this machine is an error. Usage: skips.sh BUILD_DIRECTORY...
set -eu
rules=$(dirname "$0")/skips.txt

# "NAME: TEST<tab>REASON" for every skip in a log of ctest: those of GoogleTest, and of scripts, which end with code 77
# after a line that begins with SKIPPED.
list() {
  awk '
    /^[0-9]+\/[0-9]+ Test: / {name = $3; reason = ""; waiting = 0}
    /^SKIPPED/ {sub(/^SKIPPED[,:]? */, ""); print name ": all of it\t" $0}
    /^\[  SKIPPED \] .* \([0-9]+ ms\)$/ {sub(/,$/, "", $4); print name ": " $4 "\t" reason}
    /^\[|^$/ {waiting = 0}
    waiting {reason = reason (reason == "" ? "" : " ") $0}
    /: Skipped$/ {waiting = 1; reason = ""}' "$1/Testing/Temporary/LastTest.log"
}

# Whether this machine has a capability. What cannot be told is taken to be there.
has() {
  case "$1" in
    cpu:*) grep -qwE "${1#cpu:}" /proc/cpuinfo ;;
    landlock) perl -e 'exit(syscall(444, 0, 0, 1) < 0)' 2> /dev/null ;;  # landlock_create_ruleset: which version
    seccomp) grep -q '^Seccomp:' /proc/self/status ;;
    # Where neither Rust nor its packages could be had, builds go on without.
    grammars) [ -n "$(find "$(dirname "$0")/../../build/grammar_library" -name '*.a' -print -quit 2> /dev/null)" ] ;;
    *) echo "skips.txt: \"$1\" is no capability" >&2; exit 2 ;;
  esac
}

# excused BUILD NAME
excused() {
  while read -r pattern how what; do
    # shellcheck disable=SC2254
    case "$2" in $pattern) ;; *) continue ;; esac
    case "$how" in
      in) [ "$what" != "$1" ] || return 0 ;;
      lacks) has "$what" || return 0 ;;
      *) echo "skips.txt: \"$pattern $how\" is no rule" >&2; exit 2 ;;
    esac
  done << END
$(sed -e '/^#/d' -e 's/: /:/' "$rules")
END
  return 1
}

tab=$(printf '\t')
count=0 wrong=0
for build in "$@"; do
  [ -f "$build/Testing/Temporary/LastTest.log" ] || continue  # nothing was run there
  skipped=$(list "$build")
  while IFS=$tab read -r name reason; do
    [ -n "$name" ] || continue
    [ "$count" != 0 ] || echo "skipped:"
    count=$((count + 1))
    echo "  $(basename "$build"), $name: ${reason:-no reason given}"
    if [ -n "${CI:-}" ] && ! excused "$(basename "$build")" "$(echo "$name" | sed 's/: /:/')"; then
      echo "    CI: this machine can run it, or tests/checks/skips.txt does not say why not"
      wrong=1
    fi
  done << END
$skipped
END
done
[ "$count" != 0 ] || echo "skipped: nothing"
exit "$wrong"
