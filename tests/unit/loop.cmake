pawl_test(loop_test LABEL unit
  DEPENDS pawl_loop
  SOURCES
    loop_channel_test.cpp
    loop_files_test.cpp
    loop_process_test.cpp
    loop_test.cpp)
