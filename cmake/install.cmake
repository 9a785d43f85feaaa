# What `cmake --install` puts in place: the four programs (services/CMakeLists.txt), the headers, and all of libps merged
# into one static library that a consumer links as ringps::libps or by `pkg-config ringps`.
#
# The library's own flags (-march, -ffp-contract=off, warnings) are not passed on: consumers choose theirs. That is safe
# because no header of libps uses Eigen, whose types change their layout with -march (the layering test checks this).
include(CMakePackageConfigHelpers)

get_property(folders GLOBAL PROPERTY RINGPS_COMPILED_FOLDERS)
if(NOT folders)
  return()
endif()
list(TRANSFORM folders REPLACE "(.+)" "$<TARGET_OBJECTS:\\1>" OUTPUT_VARIABLE objects)
add_library(libps STATIC ${objects})
add_library(ringps::libps ALIAS libps)
set_target_properties(libps PROPERTIES OUTPUT_NAME ps LINKER_LANGUAGE CXX)
target_compile_features(libps INTERFACE cxx_std_20)
target_include_directories(libps INTERFACE $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
# The same libraries stand in ringpsConfig.cmake.in and ringps.pc.in; the install test links the whole archive, so that
# it fails when one is missing.
target_link_libraries(libps INTERFACE
  cppzmq nlohmann_json::nlohmann_json PkgConfig::CRYPTO PkgConfig::LZ4 spdlog::spdlog SQLite::SQLite3
  Threads::Threads yaml-cpp ZLIB::ZLIB)

install(TARGETS libps EXPORT ringps ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY libps DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.hpp")
install(EXPORT ringps NAMESPACE ringps:: FILE ringpsTargets.cmake DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/ringps)

configure_package_config_file(cmake/ringpsConfig.cmake.in ${PROJECT_BINARY_DIR}/ringpsConfig.cmake
  INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/ringps)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/ringpsConfigVersion.cmake COMPATIBILITY SameMinorVersion)
file(RELATIVE_PATH PKGCONFIG_TO_PREFIX /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)
configure_file(cmake/ringps.pc.in ${PROJECT_BINARY_DIR}/ringps.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/ringpsConfig.cmake ${PROJECT_BINARY_DIR}/ringpsConfigVersion.cmake
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/ringps)
install(FILES ${PROJECT_BINARY_DIR}/ringps.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
