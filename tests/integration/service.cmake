# The running service inside the test, for what users have no knob for.
pawl_test(service_test LABEL integration TIMEOUT 120
  DEPENDS pawl_daemon
  SOURCES service_test.cpp)
target_compile_definitions(service_test PRIVATE PAWL_PROGRAM="$<TARGET_FILE:pawl>")
add_dependencies(service_test pawl)
