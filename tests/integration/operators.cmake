# Operators against real counterparts.
add_executable(operator_postgres_test operator_postgres_test.cpp)
target_link_libraries(operator_postgres_test PRIVATE pawl_flags pawl_catch_main pawl_operator_host
  PkgConfig::PQ)
add_dependencies(operator_postgres_test pawl_operators_postgres)
add_test(NAME "postgres does what it says against a real server"
  COMMAND ${PAWL_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/postgres_cluster.py
    $<TARGET_FILE:operator_postgres_test>)
set_tests_properties("postgres does what it says against a real server"
  PROPERTIES LABELS integration TIMEOUT 300)

add_test(NAME "a plugin of a user builds against what is installed for it"
  COMMAND ${PAWL_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/plugin_sdk_test.py
    --pawl $<TARGET_FILE:pawl> --build ${PROJECT_BINARY_DIR})
set_tests_properties("a plugin of a user builds against what is installed for it"
  PROPERTIES LABELS integration TIMEOUT 300)

add_library(bad_operators MODULE bad_operators.cpp)
target_link_libraries(bad_operators PRIVATE pawl_flags pawl_plugin_api Threads::Threads)
set_target_properties(bad_operators PROPERTIES PREFIX "")
# One source, and a library for each rule of the interface that it can break.
foreach(flaw null_plugin other_version short_plugin no_operators null_operator short_operator
    run_and_start neither no_cancel digit_first hyphen no_schema wrong_schema reserved no_result short_result)
  string(TOUPPER ${flaw} FLAW)
  add_library(pawl_flawed_${flaw} MODULE plugins/flawed.c)
  target_link_libraries(pawl_flawed_${flaw} PRIVATE pawl_plugin_api)
  target_include_directories(pawl_flawed_${flaw} PRIVATE ${PROJECT_SOURCE_DIR})
  target_compile_definitions(pawl_flawed_${flaw} PRIVATE FLAW=${FLAW})
  set_target_properties(pawl_flawed_${flaw} PROPERTIES PREFIX "" OUTPUT_NAME ${flaw} C_STANDARD 11
    LIBRARY_OUTPUT_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/flawed)
endforeach()
add_test(NAME "pawl operators check finds what breaks the contract"
  COMMAND ${PAWL_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/operator_check_test.py
    --pawl $<TARGET_FILE:pawl> --bad $<TARGET_FILE:bad_operators>
    --flawed ${CMAKE_CURRENT_BINARY_DIR}/flawed --loaded ${CMAKE_CURRENT_BINARY_DIR}/loaded
    --operators ${PROJECT_BINARY_DIR}/operators)
add_test(NAME "jobs of operators, with a PostgreSQL server"
  COMMAND ${PAWL_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/postgres_cluster.py
    ${CMAKE_CURRENT_SOURCE_DIR}/operator_jobs_test.py --pawl $<TARGET_FILE:pawl> Postgres)
add_test(NAME "jobs of operators"
  COMMAND ${PAWL_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/operator_jobs_test.py
    --pawl $<TARGET_FILE:pawl> Known Silent Sleep WaitFile Sqlite)
set_tests_properties("pawl operators check finds what breaks the contract"
  "jobs of operators, with a PostgreSQL server" "jobs of operators"
  PROPERTIES LABELS integration TIMEOUT 600)

# Every kind of operator in one job.
set(kinds ${CMAKE_CURRENT_SOURCE_DIR}/operator_kinds_test.py --pawl $<TARGET_FILE:pawl>)
set(secrets ${CMAKE_CURRENT_SOURCE_DIR}/operator_secrets_test.py --pawl $<TARGET_FILE:pawl>)
set(with_server ${PAWL_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/postgres_cluster.py)
add_test(NAME "operators outlive the scheduler and end when they are told"
  COMMAND ${PAWL_PYTHON} ${kinds})
add_test(NAME "operators outlive the scheduler and end when they are told, PostgreSQL too"
  COMMAND ${with_server} ${PAWL_PYTHON} ${kinds} RestartedUnderThem WorkersDie Ended Failed)
add_test(NAME "a secret that all operators use is found nowhere"
  COMMAND ${PAWL_PYTHON} ${secrets})
add_test(NAME "a secret that all operators use is found nowhere, PostgreSQL too"
  COMMAND ${with_server} ${PAWL_PYTHON} ${secrets})
set_tests_properties("operators outlive the scheduler and end when they are told"
  "operators outlive the scheduler and end when they are told, PostgreSQL too"
  "a secret that all operators use is found nowhere"
  "a secret that all operators use is found nowhere, PostgreSQL too"
  PROPERTIES LABELS integration TIMEOUT 300
  ENVIRONMENT "PAWL_FAULTY_PLUGIN=$<TARGET_FILE:pawl_faulty_plugin>;PAWL_HONEST_PLUGIN=$<TARGET_FILE:pawl_honest_plugin>")

add_test(NAME "tasks call servers, wait for them and send mail"
  COMMAND ${PAWL_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/http_jobs_test.py --pawl $<TARGET_FILE:pawl>)
set_tests_properties("tasks call servers, wait for them and send mail"
  PROPERTIES LABELS integration TIMEOUT 300)
