# Helpers that keep every folder's CMakeLists.txt to a few lines.

add_library(linnet_flags INTERFACE)
target_compile_options(linnet_flags INTERFACE -Wall -Wextra -Wno-missing-field-initializers
  $<$<BOOL:${LINNET_WERROR}>:-Werror>)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  target_compile_options(linnet_flags INTERFACE -Wno-restrict)  # false on `"text" + string` (GCC bug 105651)
endif()
# Fused multiply-adds are written where they are meant (std::fma, intrinsics), never left to the compiler:
# otherwise the same source gives other bits on another compiler.
target_compile_options(linnet_flags INTERFACE -ffp-contract=off)
target_include_directories(linnet_flags INTERFACE
  ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/include ${PROJECT_BINARY_DIR}/generated)

# linnet_library(NAME SOURCES a.cc b.cc [DEPS other_targets] [PRIVATE_DEPS third_party])
# A test file x_test.cc beside its source belongs to the folder's one test program, linnet_NAME_test.
function(linnet_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS;PRIVATE_DEPS;TEST_DEPS" ${ARGN})
  add_library(linnet_${name} STATIC ${ARG_SOURCES})
  target_link_libraries(linnet_${name} PUBLIC linnet_flags ${ARG_DEPS} PRIVATE ${ARG_PRIVATE_DEPS})
  file(GLOB tests CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*_test.cc)
  if(LINNET_TESTS AND tests)
    add_executable(linnet_${name}_test ${tests})
    target_link_libraries(linnet_${name}_test PRIVATE linnet_${name} ${ARG_TEST_DEPS} ${ARG_PRIVATE_DEPS}
      GTest::gtest GTest::gtest_main)
    target_compile_options(linnet_${name}_test PRIVATE
      -O1 -Wno-stringop-overflow)  # optimising tests was a third of the build; GCC 12 warns falsely at -O1
    target_compile_definitions(linnet_${name}_test PRIVATE
      LINNET_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
    add_test(NAME ${name} COMMAND linnet_${name}_test)
  endif()
endfunction()
