# All flags ride on one INTERFACE target; every target of the project links it.
add_library(pawl_flags INTERFACE)
target_include_directories(pawl_flags INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_options(pawl_flags INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wconversion
  -Wno-sign-conversion -Wnon-virtual-dtor -Woverloaded-virtual -Wnull-dereference -Wimplicit-fallthrough)
if(PAWL_WERROR)
  target_compile_options(pawl_flags INTERFACE -Werror)
endif()
# _GLIBCXX_ASSERTIONS, not _GLIBCXX_DEBUG: the latter changes layouts and breaks linking with
# the system's libraries.
target_compile_definitions(pawl_flags INTERFACE _GLIBCXX_ASSERTIONS _FILE_OFFSET_BITS=64)
if(PAWL_SANITIZE)
  target_compile_options(pawl_flags INTERFACE -fsanitize=${PAWL_SANITIZE} -fno-omit-frame-pointer)
  target_link_options(pawl_flags INTERFACE -fsanitize=${PAWL_SANITIZE})
  # Beside the address sanitizer, the library of the other cannot be told where to report: what it finds
  # in a worker would be seen by nobody. So undefined behaviour is an illegal instruction, which the
  # address sanitizer reports with its stack (handle_sigill). It also compiles a third faster.
  if(PAWL_SANITIZE MATCHES "address.*undefined")
    target_compile_options(pawl_flags INTERFACE -fsanitize-undefined-trap-on-error)
    target_link_options(pawl_flags INTERFACE -fsanitize-undefined-trap-on-error)
  endif()
  # With the thread sanitizer's calls in between, g++ 12 takes iterators of nlohmann's for null.
  if(PAWL_SANITIZE MATCHES "thread" AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(pawl_flags INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wno-null-dereference>)
  endif()
elseif(CMAKE_BUILD_TYPE STREQUAL "Release" OR CMAKE_BUILD_TYPE STREQUAL "RelWithDebInfo")
  # g++ 12 sees overlapping copies in `"x" + string` once it inlines (its bug 105651).
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(pawl_flags INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wno-restrict>)
  endif()
  target_compile_options(pawl_flags INTERFACE -fstack-protector-strong -D_FORTIFY_SOURCE=2)
  target_link_options(pawl_flags INTERFACE -Wl,-z,relro,-z,now)
endif()

find_program(PAWL_CCACHE ccache)
if(PAWL_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${PAWL_CCACHE})
  set(CMAKE_C_COMPILER_LAUNCHER ${PAWL_CCACHE})
endif()

# pawl_layer(NAME DEPENDS ... SOURCES ...): a static library of one layer.
function(pawl_layer name)
  cmake_parse_arguments(LAYER "" "" "DEPENDS;PRIVATE_DEPENDS;SOURCES" ${ARGN})
  add_library(${name} STATIC ${LAYER_SOURCES})
  target_link_libraries(${name} PUBLIC pawl_flags ${LAYER_DEPENDS} PRIVATE ${LAYER_PRIVATE_DEPENDS})
endfunction()

# How a test says that this machine has not got what it needs: skipped, never passed.
set(PAWL_TEST_SKIPPED 77)

# pawl_finish_tests(): what holds for all tests that this folder has added by hand. Their time-outs
# are as much longer as PAWL_TEST_PATIENCE says (tests/integration/patience.py tells more).
function(pawl_finish_tests)
  get_property(tests DIRECTORY PROPERTY TESTS)
  foreach(test IN LISTS tests)
    set_tests_properties("${test}" PROPERTIES SKIP_RETURN_CODE ${PAWL_TEST_SKIPPED})
    get_test_property("${test}" TIMEOUT seconds)
    if(seconds)
      math(EXPR seconds "${seconds} * ${PAWL_TEST_PATIENCE}")
      set_tests_properties("${test}" PROPERTIES TIMEOUT ${seconds})
    endif()
  endforeach()
endfunction()

# pawl_test(NAME [ONE_THREAD] LABEL label DEPENDS ... SOURCES ...): one Catch2 executable, one label.
# ONE_THREAD: neither the tests nor what they test start a thread, so there is nothing for the thread
# sanitizer to find, and under it they are neither built nor run.
function(pawl_test name)
  cmake_parse_arguments(TEST "ONE_THREAD" "LABEL;TIMEOUT" "DEPENDS;SOURCES" ${ARGN})
  if(NOT TEST_TIMEOUT)
    set(TEST_TIMEOUT 120)
  endif()
  math(EXPR TEST_TIMEOUT "${TEST_TIMEOUT} * ${PAWL_TEST_PATIENCE}")
  add_executable(${name} ${TEST_SOURCES})
  target_link_libraries(${name} PRIVATE pawl_flags ${TEST_DEPENDS} pawl_catch_main)
  if(TEST_ONE_THREAD AND PAWL_SANITIZE MATCHES thread)
    set_target_properties(${name} PROPERTIES EXCLUDE_FROM_ALL ON)
    return()
  endif()
  catch_discover_tests(${name} PROPERTIES LABELS ${TEST_LABEL} TIMEOUT ${TEST_TIMEOUT}
    SKIP_RETURN_CODE ${PAWL_TEST_SKIPPED})
endfunction()
