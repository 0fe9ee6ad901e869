add_library(pawl_states_page STATIC core_states_page.cpp)
target_link_libraries(pawl_states_page PUBLIC pawl_flags pawl_core)
add_executable(print_states print_states.cpp)
target_link_libraries(print_states PRIVATE pawl_states_page)

pawl_test(core_test ONE_THREAD LABEL unit
  DEPENDS pawl_core pawl_sim pawl_states_page
  SOURCES
    core_attempts_test.cpp
    core_calls_test.cpp
    core_catchup_test.cpp
    core_commands_test.cpp
    core_deferral_test.cpp
    core_dispatch_test.cpp
    core_engine_test.cpp
    core_explain_test.cpp
    core_hooks_test.cpp
    core_limits_test.cpp
    core_mapped_test.cpp
    core_pairs_test.cpp
    core_parts_test.cpp
    core_pools_test.cpp
    core_rates_test.cpp
    core_recovery_test.cpp
    core_resume_test.cpp
    core_rules_test.cpp
    core_scale_test.cpp
    core_schedules_test.cpp
    core_states_test.cpp
    core_waiting_test.cpp)
target_compile_definitions(core_test PRIVATE PAWL_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
