# kill -9 at random, judged by a verifier that shares no code with pawl. More rounds by hand:
#   tests/crash/crash_test.py --pawl build/dev/cli/pawl --rounds 500
add_test(NAME "the verifier of the crash test finds every planted wrong"
  COMMAND ${PAWL_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/verify_test.py)
add_test(NAME "whatever is killed at random, nothing is lost, doubled or made up"
  COMMAND ${PAWL_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/crash_test.py --pawl $<TARGET_FILE:pawl> --rounds 40)
set_tests_properties(
  "the verifier of the crash test finds every planted wrong"
  "whatever is killed at random, nothing is lost, doubled or made up"
  PROPERTIES LABELS crash TIMEOUT 600)
