# The real program, driven in scratch homes.
find_program(PAWL_PYTHON python3 REQUIRED)
foreach(area spec run change hooks calls serve schedule next selector settings)
  add_test(NAME "the command line: ${area}"
    COMMAND ${PAWL_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/cli_${area}_test.py --pawl $<TARGET_FILE:pawl>)
  set_tests_properties("the command line: ${area}" PROPERTIES LABELS integration TIMEOUT 300)
endforeach()
add_test(NAME "what somebody who means ill puts in runs nothing, reaches nothing and shows nothing"
  COMMAND ${PAWL_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/hostile_input_test.py --pawl $<TARGET_FILE:pawl>)
set_tests_properties(
  "what somebody who means ill puts in runs nothing, reaches nothing and shows nothing"
  PROPERTIES LABELS integration TIMEOUT 300)
