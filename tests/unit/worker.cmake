pawl_test(worker_test LABEL unit
  DEPENDS pawl_worker
  SOURCES
    worker_control_group_test.cpp
    worker_crash_record_test.cpp
    worker_environment_test.cpp
    worker_frames_test.cpp
    worker_journal_test.cpp
    worker_log_bound_test.cpp
    worker_log_test.cpp
    worker_loop_share_test.cpp
    worker_loop_watchdog_test.cpp
    worker_manifest_test.cpp
    worker_native_test.cpp
    worker_output_test.cpp
    worker_own_output_test.cpp
    worker_protocol_test.cpp
    worker_scratch_test.cpp
    worker_secrets_test.cpp
    worker_streams_test.cpp
    worker_supervision_test.cpp
    worker_process_meter_test.cpp
    worker_suspects_test.cpp
    worker_words_test.cpp)
pawl_test(blocking_threads_test LABEL unit DEPENDS pawl_threads SOURCES blocking_threads_test.cpp)
