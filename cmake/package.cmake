# What plugin authors get: the headers, and a package that `find_package(pawl)` finds, with the
# target pawl::operator. Component `devel`; the same on every architecture.
include(CMakePackageConfigHelpers)

set(PAWL_PACKAGE_DIR ${CMAKE_INSTALL_DATADIR}/cmake/pawl)
set_target_properties(pawl_plugin_api PROPERTIES EXPORT_NAME operator)
install(TARGETS pawl_plugin_api EXPORT pawl_targets)
install(EXPORT pawl_targets NAMESPACE pawl:: FILE pawlConfig.cmake DESTINATION ${PAWL_PACKAGE_DIR}
  COMPONENT devel)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/plugins/include/pawl
  DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT devel)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/pawlConfigVersion.cmake
  COMPATIBILITY SameMajorVersion ARCH_INDEPENDENT)
install(FILES ${PROJECT_BINARY_DIR}/pawlConfigVersion.cmake DESTINATION ${PAWL_PACKAGE_DIR}
  COMPONENT devel)
