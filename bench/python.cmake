add_executable(bench_python ${CMAKE_CURRENT_LIST_DIR}/python.cpp)
target_link_libraries(bench_python PRIVATE pawl_flags pawl_worker)
target_compile_definitions(bench_python PRIVATE
  PAWL_BENCH_POOLS="${CMAKE_CURRENT_LIST_DIR}/python_pools.py")
