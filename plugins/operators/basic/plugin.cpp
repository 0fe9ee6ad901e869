// The operators that need nothing but the loop.

#include "plugins/operators/basic/noop.h"

using pawl::operators::Noop;

PAWL_PLUGIN("1", Noop)
