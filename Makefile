# What a person types. Each target says what it does, shows its progress and can be run again.
JOBS ?= $(shell nproc 2>/dev/null || echo 2)
CLANG_FORMAT ?= clang-format-19
LAUNCHER := $(if $(shell command -v ccache 2>/dev/null),-DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
CONFIGURE = cmake $(LAUNCHER) --preset
export CTEST_OUTPUT_ON_FAILURE = 1

# Test programs that read files and texts of strangers: they also run under the sanitizers.
ROBUST := base tensor io text media
ROBUST_TARGETS := $(foreach name,$(ROBUST),linnet_$(name)_test)
empty :=
ROBUST_REGEX := ^($(subst $(empty) ,|,$(strip $(ROBUST))))$$

.PHONY: help setup setup-tests build demo test test-real asan format clean

help:
	@echo "make demo    install the system packages, build, and show Chick at work"
	@echo "make test    the same set-up, then every test"
	@echo "make test-real   the tests on the real weights of Gemma 3 270M, which it fetches (250 MB)"
	@echo "make build   only build/release/linnet and the tests"
	@echo "make asan    the tests of all file and text readers under the address and undefined-behaviour sanitizers"
	@echo "make format  clang-format over src, include and tests"
	@echo "make clean   remove build/"

setup:
	@tools/setup.sh

build/release/build.ninja: CMakeLists.txt CMakePresets.json cmake/linnet.cmake | setup
	@echo "configure: build/release"
	@$(CONFIGURE) release -DLINNET_WERROR=ON > build-release.log 2>&1 || { cat build-release.log; rm -f build-release.log; exit 1; }
	@rm -f build-release.log

build: setup build/release/build.ninja
	@echo "build: everything, $(JOBS) jobs"
	@ninja -C build/release -j$(JOBS)

demo: setup build/release/build.ninja
	@echo "build: build/release/linnet, $(JOBS) jobs"
	@ninja -C build/release -j$(JOBS) linnet
	@tools/demo.sh build/release/linnet

asan: setup
	@echo "build: the readers of files and texts with sanitizers, $(JOBS) jobs"
	@$(CONFIGURE) asan > /dev/null
	@ninja -C build/asan -j$(JOBS) $(ROBUST_TARGETS) linnet_runtime_test
	@ctest --test-dir build/asan -R '$(ROBUST_REGEX)' -j$(JOBS)
	@build/asan/src/runtime/linnet_runtime_test --gtest_brief=1 --gtest_filter='Damage*'

setup-tests: setup
	@tools/setup.sh tests

test: setup-tests build asan
	@echo "test: everything"
	@ctest --test-dir build/release -j$(JOBS)

test-real: setup build/release/build.ninja
	@ninja -C build/release -j$(JOBS) linnet
	@tools/test_real.sh build/release/linnet

format:
	@git ls-files '*.cc' '*.h' | xargs $(CLANG_FORMAT) -i

clean:
	rm -rf build
