# The libraries of the system. Each has one home in the code; docs/decisions.md says why each.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(nlohmann_json 3.11 REQUIRED)
find_package(spdlog 1.10 REQUIRED)
find_package(SQLiteCpp 3.2 REQUIRED)
find_package(CLI11 2.1 REQUIRED)
pkg_check_modules(SQLITE REQUIRED IMPORTED_TARGET sqlite3)
pkg_check_modules(UV REQUIRED IMPORTED_TARGET libuv)
pkg_check_modules(RE2 REQUIRED IMPORTED_TARGET re2)
pkg_check_modules(XXHASH REQUIRED IMPORTED_TARGET libxxhash)
pkg_check_modules(MICROHTTPD REQUIRED IMPORTED_TARGET libmicrohttpd)
pkg_check_modules(CURL REQUIRED IMPORTED_TARGET libcurl)

# libcsv ships no pkg-config file.
find_library(PAWL_CSV_LIBRARY csv REQUIRED)

# cctz ships neither a CMake package nor a pkg-config file.
find_library(PAWL_CCTZ_LIBRARY cctz REQUIRED)
find_path(PAWL_CCTZ_INCLUDE cctz/time_zone.h REQUIRED)
add_library(pawl_cctz INTERFACE)
target_include_directories(pawl_cctz SYSTEM INTERFACE ${PAWL_CCTZ_INCLUDE})
target_link_libraries(pawl_cctz INTERFACE ${PAWL_CCTZ_LIBRARY})

# For operators that come as plugins of their own.
pkg_check_modules(PQ REQUIRED IMPORTED_TARGET libpq)
