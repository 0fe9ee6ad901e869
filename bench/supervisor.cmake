add_executable(bench_supervisor ${CMAKE_CURRENT_LIST_DIR}/supervisor.cpp)
target_link_libraries(bench_supervisor PRIVATE pawl_flags pawl_worker)
