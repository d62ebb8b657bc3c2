#!/bin/sh
# Installs what building and testing Linnet needs on Debian 12 and Ubuntu 24.04, and nothing else.
# Run it as often as you like: it does nothing when everything is there.
set -eu

packages="
  g++ cmake ninja-build pkg-config make binutils
  libfmt-dev libspdlog-dev nlohmann-json3-dev libcli11-dev libedit-dev
  libpng-dev libjpeg-dev libwebp-dev libtiff-dev libsoxr-dev zlib1g-dev libssl-dev
  libavformat-dev libavcodec-dev libavutil-dev libswscale-dev poppler-utils
  libgtest-dev
"

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
  say "all system packages are installed"
  exit 0
fi

as_root=""
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null 2>&1; then
    say "these packages are missing and there is no sudo; run as root: apt-get install$missing" >&2
    exit 1
  fi
  as_root="sudo"
fi

say "installing$missing"
$as_root apt-get update -q
# shellcheck disable=SC2086
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing
say "done"
