pawl_test(cli_test ONE_THREAD LABEL unit
  DEPENDS pawl_cli
  SOURCES
    cli_arguments_test.cpp
    cli_logs_test.cpp
    cli_outlet_test.cpp
    cli_output_test.cpp
    cli_text_test.cpp
    cli_view_test.cpp
    cli_when_test.cpp)
