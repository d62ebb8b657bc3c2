# Helpers that keep every folder's CMakeLists.txt to a few lines.

add_library(linnet_flags INTERFACE)
target_compile_options(linnet_flags INTERFACE -Wall -Wextra -Wno-missing-field-initializers
  $<$<BOOL:${LINNET_WERROR}>:-Werror>)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # False on `"text" + string`, moved strings (GCC bugs 105651, 105329) and aggregates that are moved into vectors; the
  # sanitizers look at the bounds.
  target_compile_options(linnet_flags INTERFACE
    -Wno-restrict -Wno-array-bounds -Wno-stringop-overflow -Wno-stringop-overread -Wno-maybe-uninitialized)
endif()
# Fused multiply-adds are written where they are meant (std::fma, intrinsics), never left to the compiler:
# otherwise the same source gives other bits on another compiler.
target_compile_options(linnet_flags INTERFACE -ffp-contract=off)
# The shared library lets programs see what is marked LINNET_API.
target_compile_options(linnet_flags INTERFACE -fvisibility=hidden
  $<$<COMPILE_LANGUAGE:CXX>:-fvisibility-inlines-hidden>)
target_include_directories(linnet_flags INTERFACE
  ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/include ${PROJECT_BINARY_DIR}/generated)

# Without these ccache leaves alone what has precompiled headers.
if(CMAKE_CXX_COMPILER_LAUNCHER MATCHES "^([^;]*/)?ccache$")
  set(CMAKE_CXX_COMPILER_LAUNCHER env CCACHE_SLOPPINESS=pch_defines,time_macros ${CMAKE_CXX_COMPILER_LAUNCHER})
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  target_compile_options(linnet_flags INTERFACE -fpch-preprocess)
endif()

# What most files include is parsed once for the libraries and once for the tests: a third of the time to build.
# Libraries of others that few files use would cost all of them more than they save those few.
set(LINNET_STANDARD_HEADERS <algorithm> <array> <atomic> <bit> <chrono> <cmath> <cstdint> <cstdio> <cstdlib> <cstring>
  <expected> <filesystem> <fstream> <functional> <limits> <map> <memory> <mutex> <optional> <random> <span> <sstream>
  <string> <string_view> <thread> <utility> <vector>)
file(GENERATE OUTPUT ${PROJECT_BINARY_DIR}/precompiled.cc CONTENT "")
add_library(linnet_precompiled OBJECT ${PROJECT_BINARY_DIR}/precompiled.cc)
target_link_libraries(linnet_precompiled PRIVATE linnet_flags)
target_precompile_headers(linnet_precompiled PRIVATE ${LINNET_STANDARD_HEADERS})

# Optimising tests was a third of the build; GCC 12 warns falsely at -O1.
function(linnet_test_options target)
  target_link_libraries(${target} PRIVATE linnet_flags GTest::gtest)
  target_compile_options(${target} PRIVATE -O1 -Wno-stringop-overflow)
  # Programs have another flag for this than libraries, and what is precompiled must have the same as those that use it.
  set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
endfunction()

# linnet_test_program(TARGET): a program of tests, which has its sources already.
function(linnet_test_program target)
  if(NOT TARGET linnet_precompiled_test)
    add_library(linnet_precompiled_test OBJECT ${PROJECT_BINARY_DIR}/precompiled.cc)
    linnet_test_options(linnet_precompiled_test)
    target_precompile_headers(linnet_precompiled_test PRIVATE ${LINNET_STANDARD_HEADERS} <gtest/gtest.h>)
  endif()
  linnet_test_options(${target})
  target_precompile_headers(${target} REUSE_FROM linnet_precompiled_test)
  target_link_libraries(${target} PRIVATE GTest::gtest_main)
  target_compile_definitions(${target} PRIVATE LINNET_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
endfunction()

# linnet_library(NAME SOURCES a.cc b.cc [DEPS other_targets] [PRIVATE_DEPS third_party])
# A test file x_test.cc beside its source belongs to the folder's one test program, linnet_NAME_test.
function(linnet_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS;PRIVATE_DEPS;TEST_DEPS" ${ARGN})
  add_library(linnet_${name} STATIC ${ARG_SOURCES})
  target_link_libraries(linnet_${name} PUBLIC linnet_flags ${ARG_DEPS} PRIVATE ${ARG_PRIVATE_DEPS})
  if(NOT name STREQUAL "kernels")  # whose files share nothing
    target_precompile_headers(linnet_${name} REUSE_FROM linnet_precompiled)
  endif()
  file(GLOB tests CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*_test.cc)
  if(LINNET_TESTS AND tests)
    add_executable(linnet_${name}_test ${tests})
    target_link_libraries(linnet_${name}_test PRIVATE linnet_${name} ${ARG_TEST_DEPS} ${ARG_PRIVATE_DEPS})
    linnet_test_program(linnet_${name}_test)
    add_test(NAME ${name} COMMAND linnet_${name}_test)
  endif()
endfunction()
