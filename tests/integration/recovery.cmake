# What dies or fails, and what comes of it. Cases that need what is not permitted here (mounts, control
# groups, strace) are skipped, and so is then the test as a whole, which runs all others.
set(PAWL_FAULT_TESTS
  "recovery: whatever dies, what was accepted goes on with its real results"
  "disk_faults: a disk that is full, fails or turns read-only loses nothing"
  "process_faults: what is stopped, starved, flooded or copied loses nothing")
foreach(test IN LISTS PAWL_FAULT_TESTS)
  string(REGEX MATCH "^[a-z_]+" file "${test}")
  string(REGEX REPLACE "^[a-z_]+: " "" name "${test}")
  add_test(NAME "${name}"
    COMMAND ${PAWL_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/${file}_test.py --pawl $<TARGET_FILE:pawl>)
  set_tests_properties("${name}" PROPERTIES LABELS faults TIMEOUT 600 COST 100
    RESOURCE_LOCK mounts)
endforeach()

# These share nothing with others: no lock.
add_test(NAME "plugins that block, leak, flood and starve hurt their host at most"
  COMMAND ${PAWL_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/plugin_faults_test.py --pawl $<TARGET_FILE:pawl>)
add_test(NAME "what is no frame, half of one or said twice between scheduler and worker loses nothing"
  COMMAND ${PAWL_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/wire_faults_test.py --pawl $<TARGET_FILE:pawl>)
set_tests_properties("plugins that block, leak, flood and starve hurt their host at most"
  "what is no frame, half of one or said twice between scheduler and worker loses nothing"
  PROPERTIES LABELS faults TIMEOUT 600 COST 100
  ENVIRONMENT "PAWL_FAULTY_PLUGIN=$<TARGET_FILE:pawl_faulty_plugin>;PAWL_HANGS_PLUGIN=$<TARGET_FILE:pawl_loaded_hangs>")
