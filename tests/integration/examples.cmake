# Each example is run, and what became of its tasks is compared.
foreach(example
    all-regions cleanup conditions diamond error-handling-for-child-processes hello mail-report
    many-calls map-csv map-lines nightly one-log outputs params python-functions queue-with-retries
    rate-limit region retry sql-report
    ten-thousand-queries timeout tolerate warm-program web-service zone-census)
  add_test(NAME "the example ${example} does what it says"
    COMMAND ${PAWL_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/examples_test.py
      --pawl $<TARGET_FILE:pawl> ${example})
  set_tests_properties("the example ${example} does what it says"
    PROPERTIES LABELS integration TIMEOUT 600)
endforeach()
add_test(NAME "the example postgres-report does what it says"
  COMMAND ${PAWL_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/postgres_cluster.py ${PAWL_PYTHON}
    ${CMAKE_CURRENT_SOURCE_DIR}/examples_test.py --pawl $<TARGET_FILE:pawl> postgres-report)
set_tests_properties("the example postgres-report does what it says"
  PROPERTIES LABELS integration TIMEOUT 600 SKIP_RETURN_CODE 77)
add_test(NAME "every example has an expectation"
  COMMAND ${PAWL_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/examples_test.py --complete)
add_test(NAME "the demo is as told: a failure, its recovery, nothing repeated"
  COMMAND ${PAWL_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/examples_test.py
    --pawl $<TARGET_FILE:pawl> --demo)
set_tests_properties("every example has an expectation"
  "the demo is as told: a failure, its recovery, nothing repeated"
  PROPERTIES LABELS integration TIMEOUT 600)
