# What a person types. Each target says what it does, shows its progress and can be run again.
JOBS ?= $(shell nproc 2>/dev/null || echo 2)
CLANG_FORMAT ?= clang-format-19
LAUNCHER := $(if $(shell command -v ccache 2>/dev/null),-DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
# A new build directory compiles the files of a folder eight at a time, in half the time. For who edits them
# `cmake --preset release` makes one that compiles file by file; what is configured already stays as it is.
configure = cmake $(LAUNCHER) --preset $(1) -DLINNET_GRAMMAR=$(GRAMMAR) $(if $(wildcard build/$(1)/CMakeCache.txt),,-DCMAKE_UNITY_BUILD=ON)
export CTEST_OUTPUT_ON_FAILURE = 1
# Structured output wants a library that takes a minute to build, for which a demonstration does not wait.
GRAMMAR := ON
demo: GRAMMAR := BUILT

# What also runs under the sanitizers: everything that threads share, and what reads the files and texts of strangers,
# from the fuzzers' seeds here and with its own tests in test-long; the C interface too, for what it must free.
ASAN := base tensor io ops model runtime quant
READERS := text media api
TSAN := base ops model runtime
empty :=
targets = $(foreach name,$(1),linnet_$(name)_test)
regex = ^($(subst $(empty) ,|,$(strip $(1))))$$
# Tests that repeat what others do over many seeds or shapes: minutes with plain C kernels and a sanitizer.
MANY := All/Heads.*:*.TwoHundredPromptsAreWrittenTheSame
TIMED := *LinearTime:*UnderASecond
LONG := $(MANY):$(TIMED):Attention.ARowDoesNotKnow*:*OfNarrowTypes*:Attention.NarrowTypes*
# What sessions, conversations and drafting are made of, on tiny models.
TURNS := Session.*:SessionsOf*:PrefixStoreTest.*:PrefixKeys.*:All/KvTypes*/0:StopFilter*:Prompt*:Speculator.Stops*:ConversationTest.Cancelled*:SchedulerTest.Tells*
# Conversations that share steps, 20 random schedules.
SCHEDULES := SchedulerTest*:All/RandomSchedules*/0
# Files that are cut or have flipped bits, one kind of each.
DAMAGE := Damage.*Cut*:Damage.Converting*:Damage.Ggufs*
# The same at length.
TALKS := Damage.*:Session*:PrefixStore*:PrefixKeys*:*KvTypes*:*RandomSessions*/0:ConversationTest*:FullContextTest*:Packed*:Speculator.S*:Speculator.F*:$(SCHEDULES)
# A sandbox works on one thread, and the thread sanitizer's memory breaks its limits.
ONE_THREAD := Sandbox.*

.PHONY: help setup setup-grammar setup-tests build demo test test-long test-real test-clients build-asan asan tsan fuzz format clean

help:
	@echo "make demo    install the system packages, build, and show Chick at work"
	@echo "make test    the same set-up, then every test but the long ones: below 15 minutes on two cores"
	@echo "make test-long   the long ones: more under the sanitizers, ARM in an emulator, every fuzzer for 20 seconds"
	@echo "make test-real   the tests on the real weights of Gemma 3 270M, which it fetches (250 MB)"
	@echo "make test-clients   clients of other people, which it fetches, against 'linnet serve' (1.5 GB, some minutes)"
	@echo "make build   only build/release/linnet and the tests"
	@echo "make asan    runtime, operations and the fuzzers' seeds under the address and undefined-behaviour sanitizers"
	@echo "make tsan    runtime and operations under the thread sanitizer"
	@echo "make fuzz    the fuzzers; tests/fuzz/README.md says how they are run"
	@echo "make format  clang-format over src, include and tests"
	@echo "make clean   remove build/"

setup:
	@tools/setup.sh

setup-grammar: setup
	@tools/setup.sh grammar

build/release/build.ninja: CMakeLists.txt CMakePresets.json cmake/linnet.cmake | setup
	@echo "configure: build/release"
	@$(call configure,release) -DLINNET_WERROR=ON > build-release.log 2>&1 || { cat build-release.log; rm -f build-release.log; exit 1; }
	@rm -f build-release.log

build: setup-grammar build/release/build.ninja
	@grep -q '^LINNET_GRAMMAR:STRING=ON' build/release/CMakeCache.txt || cmake -DLINNET_GRAMMAR=ON build/release > /dev/null
	@echo "build: everything, $(JOBS) jobs"
	@ninja -C build/release -j$(JOBS)

demo: setup build/release/build.ninja
	@echo "build: build/release/linnet, $(JOBS) jobs"
	@ninja -C build/release -j$(JOBS) linnet
	@tools/demo.sh build/release/linnet

build-asan: setup
	@echo "build: the tests of $(ASAN) for the address sanitizer, $(JOBS) jobs"
	@$(call configure,asan) > /dev/null
	@ninja -C build/asan -j$(JOBS) $(call targets,$(ASAN)) linnet_fuzz_seeds

asan: build-asan
	@GTEST_FILTER='-$(LONG)' ctest --test-dir build/asan -R '$(call regex,$(filter-out runtime quant,$(ASAN)) fuzz_.*)' -j$(JOBS)
	@GTEST_FILTER='$(TURNS):$(DAMAGE)' ctest --test-dir build/asan -R '^(runtime|quant)$$' -j$(JOBS)

tsan: setup
	@echo "build: the tests of $(TSAN) for the thread sanitizer, $(JOBS) jobs"
	@$(call configure,tsan) > /dev/null
	@ninja -C build/tsan -j$(JOBS) $(call targets,$(TSAN))
	@GTEST_FILTER='-$(LONG):$(ONE_THREAD)' ctest --test-dir build/tsan -R '$(call regex,$(filter-out runtime,$(TSAN)))' -j$(JOBS)
	@GTEST_FILTER='$(TURNS)' ctest --test-dir build/tsan -R '^runtime$$'

fuzz:
	@tools/setup.sh fuzz
	@$(call configure,fuzz) > /dev/null
	@ninja -C build/fuzz -j$(JOBS) linnet_fuzzers

setup-tests: setup
	@tools/setup.sh tests

# What was skipped is listed last, whether or not a test failed before.
test: setup-tests build asan tsan
	@echo "test: everything"
	@ctest --test-dir build/release -LE long -j$(JOBS); failed=$$?; \
	tests/checks/skips.sh build/release build/asan build/tsan && exit $$failed

test-long: setup-tests build build-asan fuzz
	@ninja -C build/asan -j$(JOBS) $(call targets,$(READERS))
	@ctest --test-dir build/release -L long -j$(JOBS) --no-tests=ignore
	@GTEST_FILTER='-$(MANY):$(TIMED)' ctest --test-dir build/asan -R '$(call regex,ops $(READERS))' -j$(JOBS) --timeout 3000
	@GTEST_FILTER='$(TALKS)' ctest --test-dir build/asan -R '^(runtime|quant)$$' --timeout 3000
	@$(call configure,tsan) > /dev/null
	@ninja -C build/tsan -j$(JOBS) $(call targets,runtime)
	@GTEST_FILTER='$(SCHEDULES)' ctest --test-dir build/tsan -R '^runtime$$' --timeout 3000
	@ls tests/fuzz/seeds | xargs -P $(JOBS) -I TARGET tests/fuzz/run.sh TARGET 20 build/fuzz/corpus
	@tests/checks/skips.sh build/release build/asan

test-real: setup build/release/build.ninja
	@ninja -C build/release -j$(JOBS) linnet
	@tools/test_real.sh build/release/linnet

# Where no package can be had it says so, and that is no failure.
test-clients: setup-tests build/release/build.ninja
	@ninja -C build/release -j$(JOBS) linnet
	@tests/clients/run.py --linnet build/release/linnet || [ $$? = 77 ]

format:
	@git ls-files '*.cc' '*.h' | xargs $(CLANG_FORMAT) -i

clean:
	rm -rf build
