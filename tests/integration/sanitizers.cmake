# That nothing found passes unseen: only what is planted here can show it.
if(PAWL_SANITIZE)
  add_executable(planted planted.cpp)
  target_link_libraries(planted PRIVATE pawl_flags Threads::Threads)
  if(PAWL_SANITIZE MATCHES thread)
    set(kinds thread)
  else()
    set(kinds address undefined)
  endif()
  add_test(NAME "what a sanitizer finds in a process that nobody waits for is reported"
    COMMAND ${PAWL_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/sanitizers_test.py $<TARGET_FILE:planted>
      ${kinds})
  set_tests_properties("what a sanitizer finds in a process that nobody waits for is reported"
    PROPERTIES LABELS integration TIMEOUT 60)
endif()
