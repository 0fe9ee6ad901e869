pawl_test(http_test LABEL unit
  DEPENDS pawl_daemon pawl_client
  SOURCES
    http_client_test.cpp
    http_server_test.cpp)

pawl_test(daemon_files_test LABEL unit
  DEPENDS pawl_daemon
  SOURCES
    home_test.cpp
    job_folder_test.cpp
    settings_file_test.cpp
    worker_process_test.cpp)

pawl_test(daemon_test LABEL unit
  DEPENDS pawl_daemon
  SOURCES
    definitions_test.cpp
    followers_test.cpp
    host_demand_test.cpp
    host_load_test.cpp
    item_source_test.cpp
    item_window_test.cpp
    jobs_test.cpp
    log_test.cpp
    output_file_test.cpp
    pump_test.cpp
    reader_test.cpp
    redefinition_test.cpp
    request_body_test.cpp
    run_context_test.cpp
    run_progress_test.cpp
    signs_of_life_test.cpp
    stall_watch_test.cpp)
