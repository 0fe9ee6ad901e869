#pragma once

// Rows of Google Benchmark as all measurements print them.

#include <cstdio>
#include <vector>

#include <benchmark/benchmark.h>

namespace pawl {

/// Prints `what | measured | must (aim)` rows; the aim is the benchmark's label.
class RowPrinter final : public benchmark::BenchmarkReporter {
 public:
  bool ReportContext(const Context&) override {
    std::printf("what | measured | must (aim)\n");
    return true;
  }
  void ReportRuns(const std::vector<Run>& runs) override {
    for (const Run& run : runs) {
      const double ns = run.GetAdjustedCPUTime();
      const bool is_long = ns >= 10'000;
      std::printf("%s | %.*f %s | %s\n", run.benchmark_name().c_str(), is_long ? 2 : 0,
                  is_long ? ns / 1'000 : ns, is_long ? "us" : "ns", run.report_label.c_str());
    }
  }
};

}  // namespace pawl
