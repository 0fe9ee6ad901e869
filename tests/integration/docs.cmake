# What README.md and docs/*.md show is what happens.
find_program(PAWL_PYTHON python3 REQUIRED)
add_test(NAME "the harness of the documents accepts what is right and refuses what is wrong"
  COMMAND ${PAWL_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/docs_test.py --self-test)
add_test(NAME "what the documents show is what happens"
  COMMAND ${PAWL_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/docs_test.py --pawl $<TARGET_FILE:pawl>)
set_tests_properties(
  "the harness of the documents accepts what is right and refuses what is wrong"
  "what the documents show is what happens"
  PROPERTIES LABELS docs TIMEOUT 300)
