#include "storage/check.h"

#include <algorithm>
#include <string_view>

#include "storage/rows_sql.h"
#include "storage/statement.h"

namespace pawl {
namespace {

// Each query gives one sentence per finding. `SCOPE(X)` becomes a condition on the run X: with
// history all but the doomed, whose rows are on their way out, else the open ones.
struct Rule {
  const char* sql;
};

constexpr Rule kRules[] = {
    // Rows whose owner is not there.
    {"SELECT 'task ' || t.task || ' of run number ' || t.run || ' has no run' FROM task AS t "
     "WHERE t.item = -1 AND NOT EXISTS (SELECT 1 FROM run WHERE id = t.run) "
     "AND NOT EXISTS (SELECT 1 FROM doomed WHERE run = t.run)"},
    {"SELECT 'items of task ' || i.task || ' of run number ' || i.run || ' have no run' FROM item "
     "AS i "
     "WHERE i.first = 0 AND NOT EXISTS (SELECT 1 FROM run WHERE id = i.run) "
     "AND NOT EXISTS (SELECT 1 FROM doomed WHERE run = i.run)"},
    {"SELECT 'a timer (' || x.kind || ') of run number ' || x.run || ' has no run' FROM timer AS x "
     "WHERE NOT EXISTS (SELECT 1 FROM run WHERE id = x.run) "
     "AND NOT EXISTS (SELECT 1 FROM doomed WHERE run = x.run)"},
    {"SELECT 'an output of task ' || o.task || ' of run number ' || o.run || ' has no task' "
     "FROM output AS o WHERE NOT EXISTS (SELECT 1 FROM task AS t WHERE t.run = o.run AND "
     "t.task = o.task AND t.item = o.item) AND NOT EXISTS (SELECT 1 FROM doomed WHERE run = o.run) "
     "AND SCOPE(o.run)"},
    {"SELECT 'attempt ' || a.id || ' (' || a.number || ' of task ' || a.task || ', item ' || "
     "a.item || "
     "' of run number ' || a.run || ') belongs to no task' FROM attempt AS a "
     "WHERE NOT EXISTS (SELECT 1 FROM task AS t WHERE t.run = a.run AND t.task = a.task AND "
     "t.item = a.item AND (a.number > 1 OR t.first_attempt = a.id)) "
     "AND NOT EXISTS (SELECT 1 FROM doomed WHERE run = a.run) AND SCOPE(a.run)"},
    {"SELECT 'run ' || r.name || ' has no definition' FROM run AS r "
     "WHERE NOT EXISTS (SELECT 1 FROM job_version AS v WHERE v.id = r.version) AND SCOPE(r.id)"},
    {"SELECT 'job ' || j.name || ' names a definition that is not there' FROM job AS j "
     "WHERE j.version IS NOT NULL AND NOT EXISTS (SELECT 1 FROM job_version WHERE id = j.version)"},
    {"SELECT 'run ' || r.name || ' has no counts' FROM run AS r "
     "WHERE NOT EXISTS (SELECT 1 FROM run_counts WHERE run = r.id) AND SCOPE(r.id)"},

    // Live attempts: named by their task, one for each, alive themselves.
    {"SELECT 'task ' || t.task || ', item ' || t.item || ' of run number ' || t.run || ' names "
     "attempt ' "
     "|| t.live_attempt || ' as live, which is not' FROM task AS t WHERE t.live_attempt IS NOT "
     "NULL "
     "AND NOT EXISTS (SELECT 1 FROM attempt AS a WHERE a.id = t.live_attempt AND a.run = t.run AND "
     "a.task = t.task AND a.item = t.item AND "
     "a.state IN ('starting', 'running', 'stopping', 'deferred')) AND SCOPE(t.run)"},
    {"SELECT 'attempt ' || a.id || ' of run number ' || a.run || ' is ' || a.state || "
     "' and its task does not name it' FROM attempt AS a WHERE "
     "a.state IN ('starting', 'running', 'stopping', 'deferred') AND NOT EXISTS (SELECT 1 FROM "
     "task "
     "AS t WHERE t.run = a.run AND t.task = a.task AND t.item = a.item AND t.live_attempt = a.id) "
     "AND NOT EXISTS (SELECT 1 FROM doomed WHERE run = a.run) AND SCOPE(a.run)"},
    {"SELECT 'task ' || t.task || ', item ' || t.item || ' of run number ' || t.run || ' is ' || "
     "t.state || ' and has a live attempt' FROM task AS t WHERE t.live_attempt IS NOT NULL AND "
     "t.state NOT IN ('running', 'deferred', 'queued') AND SCOPE(t.run)"},
    {"SELECT 'task ' || t.task || ', item ' || t.item || ' of run number ' || t.run || ' is ' || "
     "t.state || ' and its attempt is ' || a.state FROM task AS t JOIN attempt AS a ON "
     "a.id = t.live_attempt WHERE (t.state IN ('deferred', 'queued')) <> (a.state = 'deferred') "
     "AND SCOPE(t.run)"},

    // Numbers of attempts: from 1, no gap, as many as the task says.
    {"SELECT 'task ' || t.task || ', item ' || t.item || ' of run number ' || t.run || ' had ' || "
     "t.attempts || ' attempts and has other rows of them' FROM task AS t WHERE t.attempts <> "
     "(SELECT count(*) FROM attempt AS a WHERE a.id = t.first_attempt AND a.run = t.run) + "
     "(SELECT count(*) FROM attempt AS a WHERE a.run = t.run AND a.task = t.task AND "
     "a.item = t.item AND a.number > 1 AND a.number <= t.attempts) AND SCOPE(t.run)"},
    {"SELECT 'attempt ' || a.id || ' of run number ' || a.run || ' has number ' || a.number || "
     "', its task had only ' || t.attempts FROM attempt AS a JOIN task AS t ON t.run = a.run AND "
     "t.task = a.task AND t.item = a.item WHERE a.number > 1 AND a.number > t.attempts AND "
     "SCOPE(a.run)"},

    // What is final stays so, and what is open has a run that is open.
    {"SELECT 'run ' || r.name || ' is ' || r.state || ' and its task ' || t.task || ' is ' || "
     "t.state "
     "FROM run AS r JOIN task AS t ON t.run = r.id WHERE "
     "r.state IN ('succeeded', 'failed', 'cancelled') AND "
     "t.state IN ('waiting', 'queued', 'running', 'retrying', 'deferred') AND SCOPE(r.id)"},
    {"SELECT 'task ' || t.task || ', item ' || t.item || ' of run number ' || t.run || ' is ' || "
     "t.state || ' and did not end' FROM task AS t WHERE t.ended_at IS NULL AND "
     "t.state IN ('held', 'failed', 'succeeded') AND SCOPE(t.run)"},

    // Counts are those of the rows and of the items that never started.
    {"SELECT 'task ' || m.task || ' of run number ' || m.run || ' has ' || m.next_fresh || "
     "' items that started and other rows of them' FROM mapped AS m WHERE m.paired = 0 AND "
     "m.next_fresh > "
     "(SELECT count(*) FROM task AS t WHERE t.run = m.run AND t.task = m.task AND t.item >= 0 AND "
     "t.item < m.next_fresh) AND NOT EXISTS (SELECT 1 FROM doomed WHERE run = m.run) AND "
     "SCOPE(m.run)"},
    {"SELECT 'task ' || m.task || ' of run number ' || m.run || ' counts other items than it has' "
     "FROM mapped AS m WHERE m.waiting + m.queued + m.running + m.retrying + m.deferred + m.held + "
     "m.succeeded + m.failed + m.skipped + m.upstream_failed + m.cancelled <> m.items "
     "AND SCOPE(m.run)"},
    {"SELECT 'task ' || m.task || ' of run number ' || m.run || ' counts ' || s.state || "
     "' items wrongly' FROM mapped AS m JOIN (SELECT t.run, t.task, t.state, count(*) AS n FROM "
     "task "
     "AS t JOIN mapped AS x ON x.run = t.run AND x.task = t.task WHERE t.item >= 0 AND "
     "t.item < x.next_fresh AND SCOPE(t.run) GROUP BY t.run, t.task, t.state) AS s "
     "ON s.run = m.run AND s.task = m.task WHERE m.items >= m.next_fresh AND NOT (m.paired = 1 AND "
     "(s.state IN ('waiting', 'queued') OR s.state = m.rest_state)) AND s.n + "
     "CASE WHEN m.rest_state = s.state THEN m.items - m.next_fresh ELSE 0 END <> "
     "CASE s.state WHEN 'waiting' THEN m.waiting WHEN 'queued' THEN m.queued "
     "WHEN 'running' THEN m.running WHEN 'retrying' THEN m.retrying WHEN 'deferred' THEN "
     "m.deferred "
     "WHEN 'held' THEN m.held WHEN 'succeeded' THEN m.succeeded WHEN 'failed' THEN m.failed "
     "WHEN 'skipped' THEN m.skipped WHEN 'upstream_failed' THEN m.upstream_failed "
     "WHEN 'cancelled' THEN m.cancelled END"},
    {"SELECT 'run ' || r.name || ' counts ' || s.state || ' tasks wrongly' FROM (SELECT t.run, "
     "t.state, count(*) AS n FROM task AS t WHERE t.item = -1 AND t.state NOT IN ('waiting', "
     "'queued') "
     "AND NOT EXISTS (SELECT 1 FROM mapped AS m WHERE m.run = t.run AND m.task = t.task) "
     "AND NOT EXISTS (SELECT 1 FROM run AS r JOIN version_task AS n ON n.version = r.version "
     "WHERE r.id = t.run AND n.task = t.task AND (n.mapped <> 0 OR n.id LIKE 'hook:%')) "
     "AND SCOPE(t.run) GROUP BY t.run, t.state) AS s JOIN run AS r ON r.id = s.run "
     "JOIN run_counts AS c ON c.run = s.run "
     "WHERE s.n > CASE s.state WHEN 'running' THEN c.running WHEN 'retrying' THEN c.retrying "
     "WHEN 'deferred' THEN c.deferred WHEN 'held' THEN c.held WHEN 'succeeded' THEN c.succeeded "
     "WHEN 'failed' THEN c.failed WHEN 'skipped' THEN c.skipped "
     "WHEN 'upstream_failed' THEN c.upstream_failed WHEN 'cancelled' THEN c.cancelled END"},
};

/// The words that a column may hold, as SQL.
template <typename Words>
std::string word_list(const Words& words) {
  std::string list;
  for (std::string_view word : words) {
    if (!list.empty()) list += ", ";
    list += "'" + std::string(word) + "'";
  }
  return "(" + list + ")";
}

std::vector<std::string> word_rules() {
  std::vector<std::string_view> reasons;
  for (std::size_t i = 1; i < kReasonCount; ++i)
    reasons.push_back(to_string(static_cast<Reason>(i)));
  auto rule = [](const std::string& table, const std::string& run, const std::string& column,
                 const std::string& words) {
    return "SELECT 'a row of " + table + " of run number ' || " + run + " || ' has the unknown " +
           column + " ' || " + column + " FROM " + table + " WHERE " + column + " NOT IN " + words +
           " AND SCOPE(" + run + ")";
  };
  return {rule("run", "id", "state", word_list(kRunStateWords)),
          rule("run", "id", "reason", word_list(reasons)),
          rule("task", "run", "state", word_list(kTaskStateWords)),
          rule("task", "run", "reason", word_list(reasons)),
          rule("attempt", "run", "state", word_list(kAttemptStateWords)),
          rule("attempt", "run", "reason", word_list(reasons))};
}

/// Replaces each `SCOPE(X)`.
std::string scoped(std::string sql, bool history) {
  constexpr std::string_view kMark = "SCOPE(";
  for (std::size_t at = sql.find(kMark); at != std::string::npos; at = sql.find(kMark, at)) {
    const std::size_t end = sql.find(')', at);
    const std::string run = sql.substr(at + kMark.size(), end - at - kMark.size());
    const std::string condition =
        history ? run + " NOT IN (SELECT d.run FROM doomed AS d)"
                : run + " IN (SELECT o.id FROM run AS o WHERE " PAWL_RUN_IS_OPEN("o.state") ")";
    sql.replace(at, end - at + 1, condition);
  }
  return sql;
}

bool collect(Database& database, const std::string& sql, std::size_t limit, bool is_damage,
             std::vector<StoreFinding>& findings) {
  Statement query(database, sql);
  std::size_t found = 0;
  while (found < limit && query.step()) {
    ++found;
    findings.push_back({std::string(query.text(0)), is_damage});
  }
  return query.ok();
}

/// The rules know runs by their numbers, people by their names: a run that is there is named.
void name_run(Database& database, std::string& what) {
  constexpr std::string_view kMark = "run number ";
  const std::size_t at = what.find(kMark);
  if (at == std::string::npos) return;
  const std::size_t begin = at + kMark.size();
  const std::size_t end = std::min(what.find_first_not_of("0123456789", begin), what.size());
  Statement query(database, "SELECT name FROM run WHERE id = CAST(? AS INTEGER)");
  query.bind(what.substr(begin, end - begin));
  if (query.step()) what.replace(at, end - at, "run " + std::string(query.text(0)));
}

}  // namespace

Result<std::vector<StoreFinding>> check_file(Database& database, std::size_t findings_max) {
  std::vector<StoreFinding> findings;
  const std::string sql = "PRAGMA integrity_check(" + std::to_string(findings_max) + ")";
  if (!collect(database, sql, findings_max, true, findings)) {
    // A file too damaged to be checked is damaged.
    findings.push_back({database.error("checking the store").message, true});
  }
  if (findings.size() == 1 && findings.front().what == "ok") findings.clear();
  return findings;
}

Result<std::vector<StoreFinding>> check_store(Database& database,
                                              const StoreCheckOptions& options) {
  ReadTransaction transaction(database);
  auto findings = check_file(database, options.findings_max);
  if (!findings || !findings->empty()) return findings;
  std::vector<std::string> rules = word_rules();
  for (const Rule& rule : kRules) rules.emplace_back(rule.sql);
  for (const std::string& rule : rules) {
    if (!collect(database, scoped(rule, options.history), options.findings_max, false, *findings)) {
      return database.error("checking the store");
    }
  }
  for (StoreFinding& finding : *findings) name_run(database, finding.what);
  return findings;
}

}  // namespace pawl
