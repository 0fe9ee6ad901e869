# What README.md and docs/*.md show is what happens.
find_program(PAWL_PYTHON python3 REQUIRED)
add_test(NAME "the harness of the documents accepts what is right and refuses what is wrong"
  COMMAND ${PAWL_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/docs_test.py --self-test)
add_test(NAME "what the documents show is what happens"
  COMMAND ${PAWL_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/docs_test.py --pawl $<TARGET_FILE:pawl>)
if(NOT PAWL_SANITIZE MATCHES thread)  # under the thread sanitizer some labels have no tests
  add_test(NAME "what the documents name of this repository is there"
    COMMAND ${PAWL_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/docs_commands_test.py
      --build ${PROJECT_BINARY_DIR})
  set_tests_properties("what the documents name of this repository is there"
    PROPERTIES LABELS docs TIMEOUT 300)
endif()
set_tests_properties(
  "the harness of the documents accepts what is right and refuses what is wrong"
  "what the documents show is what happens"
  PROPERTIES LABELS docs TIMEOUT 300)
