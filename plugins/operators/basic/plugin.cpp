// The operators that need nothing but the machine they run on.

#include "plugins/operators/basic/noop.h"
#include "plugins/operators/basic/sleep.h"
#include "plugins/operators/basic/wait_file.h"

using pawl::operators::Noop;
using pawl::operators::Sleep;
using pawl::operators::WaitFile;

PAWL_PLUGIN("1", Noop, Sleep, WaitFile)
