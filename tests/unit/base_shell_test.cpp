#include <catch2/catch.hpp>

#include "scheduler/base/shell.h"

namespace pawl {

TEST_CASE("a word for a shell has quotes where it needs them") {
  CHECK(shell_word("jobs/sales-2026.json") == "jobs/sales-2026.json");
  CHECK(shell_word("") == "''");
  CHECK(shell_word("two words") == "'two words'");
  CHECK(shell_word("$HOME; `id`") == "'$HOME; `id`'");
  CHECK(shell_word("~ana") == "'~ana'");
  CHECK(shell_word("it's") == R"('it'\''s')");
  CHECK(quoted_for_shell("plain") == "'plain'");
}

}  // namespace pawl
