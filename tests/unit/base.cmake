pawl_test(test_base ONE_THREAD LABEL unit DEPENDS pawl_base PkgConfig::RE2
  SOURCES
    base_shell_test.cpp
    base_text_test.cpp
    base_values_test.cpp
    base_words_test.cpp
    layers_test.cpp
    registered_tests_test.cpp)
target_compile_definitions(test_base PRIVATE PAWL_SOURCE_DIR="${PROJECT_SOURCE_DIR}"
  PAWL_BINARY_DIR="${PROJECT_BINARY_DIR}")
