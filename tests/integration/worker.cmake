pawl_test(worker_process_test LABEL integration TIMEOUT 300
  DEPENDS pawl_worker
  SOURCES
    worker_faults_test.cpp
    worker_link_test.cpp
    worker_programs_test.cpp)
