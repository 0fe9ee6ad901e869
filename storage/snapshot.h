#pragma once

// Reading one run back as a snapshot. Private to storage.

#include <optional>
#include <string>

#include "storage/database.h"
#include "storage/row_reader.h"
#include "storage/statement.h"
#include "storage/store.h"

namespace pawl {

class SnapshotLoader {
 public:
  SnapshotLoader(Database& database, std::int64_t boot);

  /// The run, or nothing when there is none or its rows cannot be understood; `bad` then says why.
  /// An Error only when the database itself fails. All reads see one commit.
  Result<std::optional<RunSnapshot>> load(RunId run, LoadOptions options, std::string& bad);

 private:
  bool load_run(RunId run, RunSnapshot& snapshot);
  bool load_mapped(RunSnapshot& snapshot);
  bool load_tasks(RunSnapshot& snapshot);
  bool load_items(MappedSnapshot& mapped, LoadOptions options);
  bool count_to_dismiss(MappedSnapshot& mapped);
  bool load_attempts(RunSnapshot& snapshot);
  bool load_timers(RunSnapshot& snapshot);
  bool check(Statement& statement, const RowReader& reader);
  bool refuse(std::string why);

  Database& database_;
  std::int64_t boot_;
  Statement run_, mapped_, tasks_, items_, to_dismiss_, attempt_, timers_;
  std::string bad_;
};

}  // namespace pawl
