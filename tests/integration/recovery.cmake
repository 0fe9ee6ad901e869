# What dies, and what comes of it.
add_test(NAME "whatever dies, what was accepted goes on with its real results"
  COMMAND ${PAWL_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/recovery_test.py --pawl $<TARGET_FILE:pawl>)
set_tests_properties("whatever dies, what was accepted goes on with its real results"
  PROPERTIES LABELS integration TIMEOUT 600)
