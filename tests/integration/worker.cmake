pawl_test(worker_process_test LABEL integration TIMEOUT 300
  DEPENDS pawl_worker
  SOURCES
    worker_faults_test.cpp
    worker_hosts_test.cpp
    worker_limits_test.cpp
    worker_link_test.cpp
    worker_programs_test.cpp)
target_compile_definitions(worker_process_test PRIVATE
  PAWL_FAULTY_PLUGIN="$<TARGET_FILE:pawl_faulty_plugin>")
add_dependencies(worker_process_test pawl_faulty_plugin)
pawl_test(program_operator_test LABEL integration TIMEOUT 300
  DEPENDS pawl_worker nlohmann_json::nlohmann_json
  SOURCES
    program_operator_test.cpp
    python_operator_test.cpp
    python_ends_test.cpp
    python_prints_test.cpp
    python_process_test.cpp)
target_compile_definitions(program_operator_test PRIVATE PAWL_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
add_test(NAME "warm programs do what their operators promise"
  COMMAND ${PAWL_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/warm_programs_test.py
    --pawl $<TARGET_FILE:pawl>)
set_tests_properties("warm programs do what their operators promise"
  PROPERTIES LABELS integration TIMEOUT 300)
