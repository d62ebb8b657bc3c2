#!/bin/sh
# Builds the lower floors for 64-bit ARM and runs their tests in an emulator, on processors that differ in the products
# they have. Usage: aarch64.sh ROOT [COMPILER_LAUNCHER]. Exit code 77: skipped.
set -eu

skip() {
  echo "SKIPPED, so the ARM kernels are untested: $*"
  exit 77
}
for program in aarch64-linux-gnu-g++ qemu-aarch64 cmake ninja; do
  command -v "$program" >/dev/null 2>&1 || skip "$program is missing (tools/setup.sh tests installs it)"
done
[ -f /usr/src/googletest/CMakeLists.txt ] || skip "GoogleTest's sources are missing (Debian package googletest)"

cd "$1"
build=build/aarch64
mkdir -p "$build"
log=$build/build.log
{
  cmake --preset aarch64 "-DCMAKE_CXX_COMPILER_LAUNCHER=${2:-}" &&
    ninja -C "$build" -j "$(nproc)" linnet_tensor_test linnet_kernels_test linnet_ops_test
} >"$log" 2>&1 || { cat "$log"; exit 1; }

NM=aarch64-linux-gnu-nm tests/checks/house.sh symbols "$build"/src/kernels/CMakeFiles/linnet_kernels.dir/[!d]*.o

# run PROCESSOR TEST FILTER
run() {
  echo "$1: $2"
  qemu-aarch64 -L /usr/aarch64-linux-gnu -cpu "$1" "$build/src/$2/linnet_$2_test" --gtest_brief=1 --gtest_filter="$3"
}

# offers PROCESSOR TABLES: the processor must choose from exactly these, best first.
offers() {
  found=$(qemu-aarch64 -L /usr/aarch64-linux-gnu -cpu "$1" "$build/src/kernels/linnet_kernels_test" --gtest_list_tests |
    sed -n 's/^  Norms[A-Za-z]*\/\([a-z0-9]*\).*/\1/p' | xargs)
  [ "$found" = "$2" ] || { echo "$1 offers '$found' instead of '$2'"; exit 1; }
}

offers max "neoni8mm neondot scalar"
offers cortex-a76 "neondot scalar"
offers cortex-a72 "scalar"
run max tensor '*'
run max kernels '*'
run cortex-a76 kernels '*'
run cortex-a72 kernels '*'
# The tests of attention take long in an emulator, and its loops are the same source for both tables.
run cortex-a76 ops '-Attention.*'
run max ops '*'
