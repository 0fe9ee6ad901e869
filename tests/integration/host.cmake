# Hosts: a plugin whose operators do everything wrong, through the real program.
add_library(pawl_faulty_plugin MODULE plugins/faulty.cpp)
target_link_libraries(pawl_faulty_plugin PRIVATE pawl_flags pawl_plugin_api Threads::Threads)
set_target_properties(pawl_faulty_plugin PROPERTIES PREFIX "" OUTPUT_NAME faulty
  CXX_VISIBILITY_PRESET hidden)
# Operators that keep the contract, and tables of a later release.
add_library(pawl_honest_plugin MODULE plugins/honest.cpp)
target_link_libraries(pawl_honest_plugin PRIVATE pawl_flags pawl_plugin_api)
set_target_properties(pawl_honest_plugin PROPERTIES PREFIX "" OUTPUT_NAME honest
  CXX_VISIBILITY_PRESET hidden)
add_library(pawl_later_plugin MODULE plugins/later.cpp)
target_link_libraries(pawl_later_plugin PRIVATE pawl_flags pawl_plugin_api)
set_target_properties(pawl_later_plugin PROPERTIES PREFIX "" OUTPUT_NAME later)
# One source, and a library for each thing that one may do when it is loaded, or at its end.
set(loaded)
foreach(deed hangs crashes prints leaves exits crashes_last crashes_in_hosts)
  string(TOUPPER ${deed} DEED)
  add_library(pawl_loaded_${deed} MODULE plugins/loaded.c)
  target_link_libraries(pawl_loaded_${deed} PRIVATE pawl_plugin_api)
  target_include_directories(pawl_loaded_${deed} PRIVATE ${PROJECT_SOURCE_DIR})
  target_compile_definitions(pawl_loaded_${deed} PRIVATE DEED=${DEED})
  set_target_properties(pawl_loaded_${deed} PROPERTIES PREFIX "" OUTPUT_NAME ${deed} C_STANDARD 11
    C_EXTENSIONS ON LIBRARY_OUTPUT_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/loaded)
  list(APPEND loaded PAWL_${DEED}_PLUGIN=$<TARGET_FILE:pawl_loaded_${deed}>)
endforeach()
add_test(NAME "what operators may do and what they cannot break"
  COMMAND ${PAWL_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/host_test.py --pawl $<TARGET_FILE:pawl>)
set_tests_properties("what operators may do and what they cannot break" PROPERTIES
  LABELS integration TIMEOUT 180
  ENVIRONMENT "PAWL_FAULTY_PLUGIN=$<TARGET_FILE:pawl_faulty_plugin>;PAWL_OTHER_VERSION_PLUGIN=$<TARGET_FILE:pawl_flawed_other_version>;PAWL_NO_RESULT_PLUGIN=$<TARGET_FILE:pawl_flawed_no_result>;${loaded}")
add_test(NAME "operators are told what they need, wait by thousands and end as they are asked"
  COMMAND ${PAWL_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/honest_operators_test.py
    --pawl $<TARGET_FILE:pawl>)
set_tests_properties("operators are told what they need, wait by thousands and end as they are asked"
  PROPERTIES LABELS integration TIMEOUT 300
  ENVIRONMENT "PAWL_HONEST_PLUGIN=$<TARGET_FILE:pawl_honest_plugin>;PAWL_LATER_PLUGIN=$<TARGET_FILE:pawl_later_plugin>")
