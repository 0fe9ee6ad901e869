// A plugin of a version of the interface that does not exist yet.

#include "pawl/operator.h"

extern "C" const pawl_plugin* pawl_plugin_v1() {
  static const pawl_plugin kPlugin = {
      PAWL_ABI_VERSION + 1, sizeof(pawl_plugin), {"9", 1}, nullptr, 0};
  return &kPlugin;
}
