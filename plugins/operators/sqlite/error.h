#pragma once

// What SQLite refuses, told apart by whether another try may help.

#include <string>

#include "pawl/operator.hpp"

namespace pawl::operators::sqlite {

struct SqliteError {
  int code = 0;  ///< SQLite's extended code
  std::string message;
  std::string trace;  ///< the statement and the place in it
};

/// `SQLITE_CONSTRAINT_UNIQUE`; of a code without a name, that of its primary code.
std::string name_of(int code);

/// Whether it is about the file of a database, whatever was done in it.
bool is_about_file(int code);

/// Locks, I/O, memory and a full disk are worth another try; a wrong statement or a constraint is
/// not.
plugin::Result result_of(const SqliteError& error);

}  // namespace pawl::operators::sqlite
