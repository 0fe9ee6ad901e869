// An operator that ends its attempt without saying how.

#include "pawl/operator.h"

namespace {

const pawl_host* host = nullptr;

int open_it(const pawl_host* its_host, void**, pawl_bytes*) {
  host = its_host;
  return 0;
}

void start(void*, pawl_attempt* attempt, const pawl_request*) { host->finish(attempt, nullptr); }

void cancel(void*, pawl_attempt*) {}

}  // namespace

extern "C" const pawl_plugin* pawl_plugin_v1() {
  static const pawl_operator kOperator = {sizeof(pawl_operator),
                                          {"no_result", 9},
                                          {"ends without a result", 21},
                                          {R"({"type": "object"})", 18},
                                          open_it,
                                          nullptr,
                                          nullptr,
                                          start,
                                          cancel};
  static const pawl_operator* const kOperators[] = {&kOperator};
  static const pawl_plugin kPlugin = {
      PAWL_ABI_VERSION, sizeof(pawl_plugin), {"1", 1}, kOperators, 1};
  return &kPlugin;
}
