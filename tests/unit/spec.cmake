pawl_test(test_spec ONE_THREAD LABEL unit DEPENDS pawl_spec PkgConfig::RE2
  SOURCES
    spec_calendar_oracle_test.cpp
    spec_calendar_test.cpp
    spec_cron_test.cpp
    spec_dag_test.cpp
    spec_document_test.cpp
    spec_expressions_test.cpp
    spec_fires_test.cpp
    spec_graph_test.cpp
    spec_job_defaults_test.cpp
    spec_job_test.cpp
    spec_merging_test.cpp
    spec_params_test.cpp
    spec_parse_test.cpp
    spec_relations_test.cpp
    spec_robustness_test.cpp
    spec_schema_parts_test.cpp
    spec_schema_series_test.cpp
    spec_schema_test.cpp
    spec_settings_test.cpp
    spec_structure_test.cpp
    spec_values_test.cpp)
target_compile_definitions(test_spec PRIVATE PAWL_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
# As for params.cpp of the code.
set_source_files_properties(spec_schema_test.cpp PROPERTIES COMPILE_OPTIONS -Wno-maybe-uninitialized)
