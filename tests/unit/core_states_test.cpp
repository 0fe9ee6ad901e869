// The state tables, and the page that is printed from them.

#include <fstream>
#include <set>
#include <sstream>

#include <catch2/catch.hpp>

#include "scheduler/core/states.h"
#include "scheduler/core/trigger_rule.h"
#include "tests/unit/core_states_page.h"

using namespace pawl;

namespace {

template <typename State, typename Event, typename Table>
void walk(const Table& table, std::size_t states, std::size_t events) {
  for (std::size_t s = 0; s < states; ++s) {
    for (std::size_t e = 0; e < events; ++e) {
      const auto from = static_cast<State>(s);
      const auto on = static_cast<Event>(e);
      const auto listed = std::find_if(table.begin(), table.end(),
                                       [&](const auto& t) { return t.from == from && t.on == on; });
      const auto to = next(from, on);
      REQUIRE(to.has_value() == (listed != table.end()));
      if (to) {
        REQUIRE(*to == listed->to);
        REQUIRE((!is_final(from) || is_by_person(on)));
      }
    }
  }
}

}  // namespace

TEST_CASE(
    "every pair of state and event has the answer of its table, and final states stay final") {
  walk<RunState, RunEvent>(kRunTransitions, 6, 7);
  walk<TaskState, TaskEvent>(kTaskTransitions, kTaskStateCount, kTaskEventCount);
  walk<AttemptState, AttemptEvent>(kAttemptTransitions, kAttemptStateCount, kAttemptEventCount);
}

TEST_CASE("a state's word is its own and is read back") {
  std::set<std::string_view> words;
  for (std::size_t s = 0; s < kTaskStateCount; ++s) {
    const auto state = static_cast<TaskState>(s);
    REQUIRE(task_state_from(to_string(state)) == state);
    words.insert(to_string(state));
  }
  CHECK(words.size() == kTaskStateCount);
  for (std::size_t s = 0; s < 6; ++s)
    REQUIRE(run_state_from(to_string(static_cast<RunState>(s))) == static_cast<RunState>(s));
  for (std::size_t s = 0; s < kAttemptStateCount; ++s) {
    REQUIRE(attempt_state_from(to_string(static_cast<AttemptState>(s))) ==
            static_cast<AttemptState>(s));
  }
  CHECK(!task_state_from("done"));
  for (std::size_t r = 0; r < kReasonCount; ++r)
    REQUIRE(reason_from(to_string(static_cast<Reason>(r))) == static_cast<Reason>(r));
}

TEST_CASE("docs/states.md is what the tables say") {
  std::ifstream file(std::string(PAWL_SOURCE_DIR) + "/docs/states.md");
  std::stringstream text;
  text << file.rdbuf();
  INFO("write it anew with: print_states > docs/states.md");
  CHECK(text.str() == states_page());
}

TEST_CASE("docs/jobs.md explains each reason, and no other word") {
  std::ifstream file(std::string(PAWL_SOURCE_DIR) + "/docs/jobs.md");
  std::string line;
  while (std::getline(file, line) && line != "## Reasons") continue;
  std::set<std::string> told;
  while (std::getline(file, line) && !line.starts_with("## ")) {
    if (!line.starts_with("| `")) continue;
    std::istringstream words(line.substr(1, line.find('|', 1) - 1));
    for (std::string word; std::getline(words, word, '`') && std::getline(words, word, '`');)
      told.insert(word);
  }
  std::set<std::string> known;
  for (std::size_t i = 1; i < kReasonCount; ++i)
    known.insert(std::string(to_string(static_cast<Reason>(i))));
  CHECK(told == known);
}
