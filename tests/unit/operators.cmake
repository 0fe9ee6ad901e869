# Operators in a small host inside the test. pawl_operator_test(NAME PLUGIN name SOURCES ...).
include(${CMAKE_CURRENT_LIST_DIR}/operator_host.cmake)

function(pawl_operator_test name)
  cmake_parse_arguments(OPERATOR "" "PLUGIN" "SOURCES;DEPENDS" ${ARGN})
  pawl_test(${name} LABEL unit DEPENDS pawl_operator_host ${OPERATOR_DEPENDS}
    SOURCES ${OPERATOR_SOURCES})
  add_dependencies(${name} pawl_operators_${OPERATOR_PLUGIN})
endfunction()

pawl_operator_test(operator_basic_test PLUGIN basic
  SOURCES operator_noop_test.cpp operator_sleep_test.cpp operator_wait_file_test.cpp)

pawl_operator_test(operator_sqlite_test PLUGIN sqlite SOURCES operator_sqlite_test.cpp
  DEPENDS PkgConfig::SQLITE)

# What operators talk to, as processes beside the test.
find_program(PAWL_PYTHON python3 REQUIRED)
foreach(operator http mail)
  set(sources operator_${operator}_test.cpp held_names.cpp)
  if(operator STREQUAL http)
    list(APPEND sources operator_http_sharing_test.cpp operator_wait_http_test.cpp
      http_response_body_test.cpp ${PROJECT_SOURCE_DIR}/plugins/operators/http/response_body.cpp)
  endif()
  pawl_operator_test(operator_${operator}_test PLUGIN ${operator} SOURCES ${sources})
  target_compile_definitions(operator_${operator}_test PRIVATE PAWL_PYTHON="${PAWL_PYTHON}"
    PAWL_COUNTERPARTS="${CMAKE_CURRENT_LIST_DIR}/counterparts.py")
  # Tests look up names themselves, so that they are known when they want.
  set_target_properties(operator_${operator}_test PROPERTIES ENABLE_EXPORTS ON)
endforeach()
