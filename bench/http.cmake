# The operator `http`; its host is that of the tests.
add_executable(http_bench_server ${CMAKE_CURRENT_LIST_DIR}/http_server.cpp)
target_link_libraries(http_bench_server PRIVATE pawl_flags)
if(NOT TARGET pawl_operator_host)
  include(${PROJECT_SOURCE_DIR}/tests/unit/operator_host.cmake)
endif()
add_executable(bench_http ${CMAKE_CURRENT_LIST_DIR}/http.cpp)
target_link_libraries(bench_http PRIVATE pawl_operator_host)
target_compile_definitions(bench_http PRIVATE
  PAWL_HTTP_SERVER="$<TARGET_FILE:http_bench_server>")
add_dependencies(bench_http http_bench_server pawl_operators_http)

# The same calls by libcurl alone: what the operator could reach at most.
add_executable(bench_curl ${CMAKE_CURRENT_LIST_DIR}/curl.cpp)
target_link_libraries(bench_curl PRIVATE pawl_flags PkgConfig::CURL)
target_compile_definitions(bench_curl PRIVATE PAWL_HTTP_SERVER="$<TARGET_FILE:http_bench_server>")
add_dependencies(bench_curl http_bench_server)
