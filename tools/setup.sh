#!/bin/sh
# Installs what building and testing Linnet needs on Debian 12 and Ubuntu 24.04, and nothing else.
# Run it as often as you like: it does nothing when everything is there.
# `setup.sh tests` installs instead what some tests want and are skipped without; that it cannot is a failure only where
# CI is set. `setup.sh fuzz` installs what the fuzzers need. `setup.sh grammar` installs the Rust that structured output
# is built with, unless there is one; where it cannot be had, Linnet is built without.
set -eu

packages="
  g++ cmake ninja-build pkg-config make binutils
  libfmt-dev libspdlog-dev nlohmann-json3-dev libcli11-dev libedit-dev libtomlplusplus-dev
  libpng-dev libjpeg-dev libwebp-dev libtiff-dev libheif-dev libsoxr-dev zlib1g-dev libssl-dev libxxhash-dev
  libavformat-dev libavcodec-dev libavutil-dev libswscale-dev libavdevice-dev poppler-utils
  prometheus-cpp-dev libsqlitecpp-dev libsqlite3-dev libgtest-dev
"
# Debian 12 has an older Boost under the plain name. From Ubuntu 24.04 on, libheif's decoders of HEIC and AVIF are
# packages of their own; in Debian 12 they are in it.
case $(cat /etc/debian_version 2>/dev/null) in
  12* | bookworm*) packages="$packages libboost1.81-dev" ;;
  *) packages="$packages libboost-dev libheif-plugin-libde265 libheif-plugin-dav1d" ;;
esac
what="system packages"
optional=""
case "${1:-}" in
  tests)
    # The kernels of 64-bit ARM, built and run in an emulator; how long functions are; tools/compare_peers.py,
    # tools/serve_hostile.py; environments of tests/clients.
    packages="g++-aarch64-linux-gnu qemu-user googletest universal-ctags python3 python3-venv"
    what="optional packages of the tests"
    [ -n "${CI:-}" ] || optional=yes
    ;;
  grammar)
    new_rust() { "$1" --version 2>/dev/null | awk '{split($2, v, "."); new = v[1] > 1 || v[2] >= 87} END {exit !new}'; }
    for compiler in ${RUSTC:-} rustc rustc-1.89; do
      if command -v cargo >/dev/null 2>&1 && new_rust "$compiler"; then
        printf 'setup: %s builds structured output\n' "$("$compiler" --version)"
        exit 0
      fi
    done
    packages="rustc-1.89 cargo-1.89"
    case $(cat /etc/debian_version 2>/dev/null) in
      12* | bookworm*) packages="rustc-web cargo-web" ;;  # the security archive has 1.96
    esac
    what="packages that structured output is built with"
    optional=yes
    ;;
  fuzz)
    packages="clang-19 libclang-rt-19-dev"
    what="packages of the fuzzers"
    ;;
esac

say() { printf 'setup: %s\n' "$*"; }

if ! command -v dpkg-query >/dev/null 2>&1; then
  say "this system has no dpkg; install these yourself (names as in Debian 12), then run make again:"
  printf '%s\n' "$packages"
  # Where the tools and libraries are there under other names, the build itself finds them or says what is missing.
  exit 0
fi

missing=""
for package in $packages; do
  status=$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || true)
  [ "$status" = "install ok installed" ] || missing="$missing $package"
done
if [ -z "$missing" ]; then
  say "all $what are installed"
  exit 0
fi

as_root=""
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null 2>&1; then
    say "these $what are missing and there is no sudo; run as root: apt-get install$missing" >&2
    [ -n "$optional" ] && exit 0
    exit 1
  fi
  as_root="sudo"
fi

say "installing$missing"
# shellcheck disable=SC2086
if ! { $as_root apt-get update -q &&
  $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing; }; then
  [ -n "$optional" ] || exit 1
  say "not installed:$missing; what wants them is left out or skipped"
  exit 0
fi
say "done"
