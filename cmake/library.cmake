# The library: what the floors up to src/api hold, as one shared and one static library, and what is installed.
set(library_floors base tensor kernels io ops model text media_av media runtime quant assist api)
set(library_objects)
set(library_needs)
foreach(floor ${library_floors})
  if(TARGET linnet_${floor})
    list(APPEND library_objects $<TARGET_OBJECTS:linnet_${floor}>)
    get_target_property(needs linnet_${floor} LINK_LIBRARIES)
    list(APPEND library_needs ${needs})
  endif()
endforeach()
list(FILTER library_needs EXCLUDE REGEX "^linnet_|^nlohmann_json::")  # JSON is headers alone
list(REMOVE_DUPLICATES library_needs)

# linnet_a_library(TARGET SHARED|STATIC NAME): find_package calls it linnet::NAME.
function(linnet_a_library target kind name)
  add_library(${target} ${kind} ${library_objects})
  add_library(linnet::${name} ALIAS ${target})
  target_link_libraries(${target} PRIVATE ${library_needs})
  if(TARGET linnet_grammar_library)  # beside the static library, as it is no part of it
    target_link_libraries(${target} PRIVATE $<BUILD_INTERFACE:${LINNET_GRAMMAR_ARCHIVE}>
      $<INSTALL_INTERFACE:$<INSTALL_PREFIX>/${CMAKE_INSTALL_LIBDIR}/liblinnet_grammar.a>)
  endif()
  target_compile_features(${target} INTERFACE cxx_std_23)
  target_include_directories(${target} INTERFACE
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  # Until 1.0 a minor version may change the interface.
  set_target_properties(${target} PROPERTIES OUTPUT_NAME linnet EXPORT_NAME ${name} LINKER_LANGUAGE CXX
    VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR}
    LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR} ARCHIVE_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR})
  install(TARGETS ${target} EXPORT ${target}
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
  install(EXPORT ${target} NAMESPACE linnet:: DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/linnet)
endfunction()

set(LINNET_LIBRARY_NAMES)
if(LINNET_SHARED)
  linnet_a_library(linnet_shared SHARED linnet)
  list(APPEND LINNET_LIBRARY_NAMES shared)
  # Templates of the standard library and of others have symbols too, which are nobody else's business.
  target_link_options(linnet_shared PRIVATE -Wl,--version-script=${PROJECT_SOURCE_DIR}/cmake/linnet.map)
  set_property(TARGET linnet_shared PROPERTY LINK_DEPENDS ${PROJECT_SOURCE_DIR}/cmake/linnet.map)
endif()
if(LINNET_STATIC)
  linnet_a_library(linnet_static STATIC static)
  list(APPEND LINNET_LIBRARY_NAMES static)
endif()

install(TARGETS linnet RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
foreach(helper linnet_media_helper linnet_microphone)
  if(TARGET ${helper})
    install(TARGETS ${helper} RUNTIME DESTINATION ${CMAKE_INSTALL_LIBEXECDIR}/linnet)
  endif()
endforeach()
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
if(LINNET_LIBRARY_NAMES)
  install(DIRECTORY include/linnet DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")

  include(CMakePackageConfigHelpers)
  set(package_directory ${CMAKE_INSTALL_LIBDIR}/cmake/linnet)
  set(LINNET_AV_NEEDED ${AV_FOUND})
  configure_package_config_file(cmake/linnetConfig.cmake.in linnetConfig.cmake
    INSTALL_DESTINATION ${package_directory})
  write_basic_package_version_file(linnetConfigVersion.cmake COMPATIBILITY SameMinorVersion)
  install(FILES ${PROJECT_BINARY_DIR}/linnetConfig.cmake ${PROJECT_BINARY_DIR}/linnetConfigVersion.cmake
    DESTINATION ${package_directory})

  # From where the file lies, so that what is installed can be moved.
  file(RELATIVE_PATH LINNET_PC_PREFIX ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
  set(LINNET_PC_AV "")
  if(AV_FOUND)
    set(LINNET_PC_AV "libavformat libavcodec libavutil libswscale")
  endif()
  set(LINNET_PC_GRAMMAR "")
  if(LINNET_STATIC AND TARGET linnet_grammar_library)
    install(FILES ${LINNET_GRAMMAR_ARCHIVE} DESTINATION ${CMAKE_INSTALL_LIBDIR})
    set(LINNET_PC_GRAMMAR "\${libdir}/liblinnet_grammar.a")
  endif()
  if(LINNET_STATIC)
    # --static would ask for the static libraries below it too, and take the shared one beside it.
    configure_file(cmake/linnet-static.pc.in linnet-static.pc @ONLY)
    install(FILES ${PROJECT_BINARY_DIR}/linnet-static.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
  endif()
  configure_file(cmake/linnet.pc.in linnet.pc @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/linnet.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endif()
