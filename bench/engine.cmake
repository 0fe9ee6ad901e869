add_executable(bench_engine ${CMAKE_CURRENT_LIST_DIR}/engine.cpp)
target_link_libraries(bench_engine PRIVATE pawl_flags pawl_core)
