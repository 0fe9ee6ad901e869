find_package(benchmark 1.7 REQUIRED)
add_executable(bench_expressions ${CMAKE_CURRENT_LIST_DIR}/expressions.cpp)
target_link_libraries(bench_expressions PRIVATE pawl_flags pawl_spec benchmark::benchmark)
