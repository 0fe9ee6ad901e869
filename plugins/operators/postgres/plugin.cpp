#include "plugins/operators/postgres/postgres.h"

using pawl::operators::postgres::Postgres;

PAWL_PLUGIN("1", Postgres)
