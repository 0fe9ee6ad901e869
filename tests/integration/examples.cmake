# Each example is run, and what became of its tasks is compared. One that is added is found here.
file(GLOB examples CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/examples/*.json)
foreach(path IN LISTS examples)
  cmake_path(GET path STEM example)
  set(test ${PAWL_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/examples_test.py
    --pawl $<TARGET_FILE:pawl> ${example})
  if(example STREQUAL postgres-report)
    list(PREPEND test ${PAWL_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/postgres_cluster.py)
  endif()
  add_test(NAME "the example ${example} does what it says" COMMAND ${test})
  set_tests_properties("the example ${example} does what it says"
    PROPERTIES LABELS integration TIMEOUT 600)
endforeach()
add_test(NAME "every example has an expectation"
  COMMAND ${PAWL_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/examples_test.py --complete)
add_test(NAME "the demo is as told: a failure, its recovery, nothing repeated"
  COMMAND ${PAWL_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/examples_test.py
    --pawl $<TARGET_FILE:pawl> --demo)
set_tests_properties("every example has an expectation"
  "the demo is as told: a failure, its recovery, nothing repeated"
  PROPERTIES LABELS integration TIMEOUT 600)
