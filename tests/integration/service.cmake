# The running service inside the test, for what users have no knob for.
pawl_test(service_test LABEL integration TIMEOUT 120
  DEPENDS pawl_daemon
  SOURCES service_test.cpp)
target_compile_definitions(service_test PRIVATE PAWL_PROGRAM="$<TARGET_FILE:pawl>")
add_dependencies(service_test pawl)
# The same, with workers that are stopped.
pawl_test(silent_workers_test LABEL integration TIMEOUT 120
  DEPENDS pawl_daemon pawl_worker
  SOURCES silent_workers_test.cpp)
target_compile_definitions(silent_workers_test PRIVATE PAWL_PROGRAM="$<TARGET_FILE:pawl>"
  PAWL_FAULTY_PLUGIN="$<TARGET_FILE:pawl_faulty_plugin>")
add_dependencies(silent_workers_test pawl pawl_faulty_plugin)
# Its part that speaks with workers, of which some die.
pawl_test(dead_workers_test LABEL integration TIMEOUT 120
  DEPENDS pawl_daemon pawl_worker
  SOURCES dead_workers_test.cpp)
target_compile_definitions(dead_workers_test PRIVATE PAWL_PROGRAM="$<TARGET_FILE:pawl>")
add_dependencies(dead_workers_test pawl)
