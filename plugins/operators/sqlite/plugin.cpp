#include "plugins/operators/sqlite/sqlite.h"

using pawl::operators::sqlite::Sqlite;

PAWL_PLUGIN("1", Sqlite)
