# Faults in the real program, judged by a verifier that shares no code with pawl. Seeds are fixed here,
# so that a change is judged by the faults that the one before it was judged by. More, and others, by hand:
#   tests/crash/crash_test.py --pawl build/dev/cli/pawl --kills 500
#   tests/crash/commit_faults_test.py --pawl build/dev/cli/pawl --all
add_test(NAME "the verifier of the crash test finds every planted wrong"
  COMMAND ${PAWL_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/verify_test.py)
add_test(NAME "whatever is killed at random, nothing is lost, doubled or made up"
  COMMAND ${PAWL_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/crash_test.py --pawl $<TARGET_FILE:pawl>
    --seed 1 --kills 50)
# Needs strace and the right to trace; without them it is reported as skipped.
add_test(NAME "a fault at any system call of a commit loses, doubles and makes up nothing"
  COMMAND ${PAWL_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/commit_faults_test.py --pawl $<TARGET_FILE:pawl>
    --seed 1)
# Needs root, loop devices and mount namespaces; without them it is reported as skipped.
add_test(NAME "after a power cut what was acknowledged is there and nothing ran unknown"
  COMMAND ${PAWL_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/power_test.py --pawl $<TARGET_FILE:pawl>
    --seed 1)
set_tests_properties(
  "the verifier of the crash test finds every planted wrong"
  "whatever is killed at random, nothing is lost, doubled or made up"
  "a fault at any system call of a commit loses, doubles and makes up nothing"
  "after a power cut what was acknowledged is there and nothing ran unknown"
  PROPERTIES LABELS crash TIMEOUT 900 COST 100)
# What makes a mount namespace of its own beside it keeps a disk that was cut from going away.
set_tests_properties("after a power cut what was acknowledged is there and nothing ran unknown"
  PROPERTIES RESOURCE_LOCK mounts)
