pawl_test(cel_test ONE_THREAD LABEL unit
  DEPENDS pawl_spec
  SOURCES
    cel_conversions_test.cpp
    cel_docs_test.cpp
    cel_errors_test.cpp
    cel_lexer_test.cpp
    cel_limits_test.cpp
    cel_literals_test.cpp
    cel_macros_test.cpp
    cel_operators_test.cpp
    cel_references_test.cpp
    cel_strings_test.cpp
    cel_time_test.cpp
    cel_values_test.cpp
    template_test.cpp)
target_compile_definitions(cel_test PRIVATE PAWL_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
