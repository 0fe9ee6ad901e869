#pragma once

// Values of PostgreSQL, which come as text, as JSON.

#include <libpq-fe.h>

#include "plugins/operators/sql/rows.h"

namespace pawl::operators::postgres {

/// Begins a result with the columns of `result`.
void begin_rows(const PGresult* result, RowWriter& rows);

/// Writes row `row` of `result`:
///
///   boolean                      true, false
///   smallint, integer, bigint    a number
///   real, double precision       a number; NaN and infinities as text
///   numeric                      a number when it is whole and fits 64 bits, else text: a JSON
///                                number would not be the same one
///   json, jsonb                  as it is
///   timestamp, timestamptz       ISO 8601, with the offset of the session's zone
///   all others                   the text that PostgreSQL prints
void write_row(const PGresult* result, int row, RowWriter& rows);

}  // namespace pawl::operators::postgres
