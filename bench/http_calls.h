#pragma once

// What the programs share that measure calls of HTTP.

#include <sys/resource.h>

#include <cstdlib>

namespace pawl::bench {

struct HttpCalls {
  int calls = 10'000;
  int in_flight = 2'000;
};

/// Reads `[CALLS [IN_FLIGHT]]`, and raises the limit of descriptors as far as it goes.
inline HttpCalls begin(int argc, char** argv) {
  HttpCalls asked;
  if (argc > 1) asked.calls = std::atoi(argv[1]);
  if (argc > 2) asked.in_flight = std::atoi(argv[2]);
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  return asked;
}

/// CPU that this process has used so far, in microseconds.
inline double cpu_us() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return 1e6 * static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

}  // namespace pawl::bench
