add_executable(bench_store ${CMAKE_CURRENT_LIST_DIR}/store.cpp)
target_link_libraries(bench_store PRIVATE pawl_flags pawl_storage PkgConfig::SQLITE)
