// A plugin as one that is built against a later release of this version of the interface: all of
// its tables have fields at their ends that nobody knows yet.

#include <cstring>

#include "pawl/operator.h"

namespace {

template <class Table>
struct Later {
  Table known;
  unsigned char unknown[64];
};

template <class Table>
Later<Table> later(Table known) {
  Later<Table> out;
  known.size = sizeof(out);
  out.known = known;
  // Whoever takes them for anything known crashes.
  std::memset(out.unknown, 0xff, sizeof(out.unknown));
  return out;
}

const pawl_host* host = nullptr;

int open_it(const pawl_host* its_host, void**, pawl_bytes*) {
  host = its_host;
  return 0;
}

void start(void*, pawl_attempt* attempt, const pawl_request*) {
  pawl_result known{};
  known.outcome = PAWL_SUCCEEDED;
  known.output = {"\"works\"", 7};
  const auto result = later(known);
  host->finish(attempt, &result.known);
}

void cancel(void*, pawl_attempt*) {}

}  // namespace

extern "C" const pawl_plugin* pawl_plugin_v1() {
  static const auto kOperator = later(pawl_operator{0,
                                                    {"later", 5},
                                                    {"was built against a later release", 33},
                                                    {R"({"type": "object"})", 18},
                                                    open_it,
                                                    nullptr,
                                                    nullptr,
                                                    start,
                                                    cancel});
  // Two of them: what is behind the first one is not the second one.
  static const auto kSecond = [] {
    auto out = kOperator;
    out.known.name = {"later_too", 9};
    return out;
  }();
  static const pawl_operator* const kOperators[] = {&kOperator.known, &kSecond.known};
  static const auto kPlugin = later(pawl_plugin{PAWL_ABI_VERSION, 0, {"1", 1}, kOperators, 2});
  return &kPlugin.known;
}
