find_package(benchmark 1.7 REQUIRED)
add_executable(bench_calendar ${CMAKE_CURRENT_LIST_DIR}/calendar.cpp)
target_link_libraries(bench_calendar PRIVATE pawl_flags pawl_spec benchmark::benchmark)
