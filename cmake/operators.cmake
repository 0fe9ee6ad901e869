# pawl_operators(NAME SOURCES ... DEPENDS ...): a shared library of operators, as a plugin of users
# would be: NAME.so in the folder `operators`, which an installed pawl finds beside its program.
function(pawl_operators name)
  cmake_parse_arguments(PLUGIN "" "" "SOURCES;DEPENDS" ${ARGN})
  add_library(pawl_operators_${name} MODULE ${PLUGIN_SOURCES})
  target_link_libraries(pawl_operators_${name} PRIVATE pawl_flags pawl_plugin_api ${PLUGIN_DEPENDS})
  set_target_properties(pawl_operators_${name} PROPERTIES
    PREFIX "" OUTPUT_NAME ${name} CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON
    LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/operators)
  # What a plugin takes along stays its own: two of them may bring the same library.
  target_link_options(pawl_operators_${name} PRIVATE -Wl,--exclude-libs,ALL -Wl,-z,defs)
  set_property(GLOBAL APPEND PROPERTY PAWL_OPERATOR_LIBRARIES pawl_operators_${name})
  install(TARGETS pawl_operators_${name} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/pawl/operators)
endfunction()

# pawl_operator_catalog(): what the plugins say of themselves, asked once here and not at each start.
function(pawl_operator_catalog)
  get_property(libraries GLOBAL PROPERTY PAWL_OPERATOR_LIBRARIES)
  set(catalog ${PROJECT_BINARY_DIR}/operators/catalog.json)
  set(files)
  foreach(library IN LISTS libraries)
    list(APPEND files --describe $<TARGET_FILE:${library}>)
  endforeach()
  add_custom_command(OUTPUT ${catalog}
    COMMAND pawl worker ${files} > ${catalog}.new
    COMMAND ${CMAKE_COMMAND} -E rename ${catalog}.new ${catalog}
    DEPENDS pawl ${libraries} VERBATIM)
  add_custom_target(pawl_catalog ALL DEPENDS ${catalog})
  install(FILES ${catalog} DESTINATION ${CMAKE_INSTALL_LIBDIR}/pawl/operators)
endfunction()
