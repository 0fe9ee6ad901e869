# A small host of operators inside one process, for tests and measurements.
add_library(pawl_operator_host STATIC ${CMAKE_CURRENT_LIST_DIR}/operator_host.cpp)
target_link_libraries(pawl_operator_host PUBLIC pawl_flags pawl_plugin_api pawl_loop pawl_spec
  PRIVATE pawl_worker ${CMAKE_DL_LIBS})
target_compile_definitions(pawl_operator_host PUBLIC
  PAWL_OPERATORS_DIR="${PROJECT_BINARY_DIR}/operators")
