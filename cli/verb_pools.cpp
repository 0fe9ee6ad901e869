#include <fmt/format.h>

#include "cli/port.h"
#include "cli/progress.h"
#include "cli/scheduler_probe.h"
#include "cli/verb.h"

namespace pawl {

namespace {

using nlohmann::json;

class PoolsVerb final : public Verb {
 public:
  void declare(Arguments& arguments) override {
    arguments.output(output_, {Format::table, Format::wide, Format::json, Format::jsonl,
                               Format::csv, Format::name});
    arguments.note("Slots live in the scheduler: with none up nothing holds any.");
  }

  Result<int> run(Session& session) override {
    const Result<std::optional<json>> answer = ask_if_up(session, "/v1/pools");
    const bool is_silent = !answer && answer.error().kind == ErrorKind::locked;
    if (!answer && !is_silent) return answer.error();
    json pools = json::array();
    if (is_silent) {
      session.notice(answer.error().message + ". What its pools hold is not known");
    } else if (*answer) {
      pools = **answer;
    } else {
      session.notice("no scheduler is up: nothing holds a slot. Start one: pawl serve");
    }
    Listing list(session.out, output_,
                 {"pool", "job", "run", "slots", "used", "waiting", "rate", "holders", "next"},
                 {{"POOL"},
                  {"SLOTS", false, true},
                  {"USED", false, true},
                  {"WAITING", false, true},
                  {"RATE"},
                  {"HELD BY", false, false, 20},
                  {"NEXT", false, false, 20}});
    for (const json& pool : pools) list.add(entry_of(pool));
    list.finish();
    return 0;
  }

 private:
  static std::int64_t number(const json& object, const char* key) {
    const auto found = object.find(key);
    return found != object.end() && found->is_number() ? found->get<std::int64_t>() : 0;
  }

  static json member(const json& object, const char* key, json otherwise) {
    const auto found = object.find(key);
    if (found != object.end()) return *found;
    return otherwise;
  }

  static std::string task_of(const json& place) {
    return fmt::format("{}/{}", short_name(place.value("run", std::string())),
                       place.value("task", std::string()));
  }

  static std::string held_text(const json& holders) {
    std::string text;
    for (const json& holder : holders)
      text += fmt::format("{}{} {}", text.empty() ? "" : ", ", task_of(holder),
                          format_count(number(holder, "slots")));
    return text;
  }

  /// `100 in 1m`, and how many of them were used while that matters.
  static std::string rate_text(const json& rate) {
    if (!rate.is_object()) return "";
    const std::int64_t used = number(rate, "used");
    const std::string limit =
        fmt::format("{} in {}", format_count(number(rate, "count")), rate.value("per", ""));
    return used == 0 ? limit : fmt::format("{} of {}", format_count(used), limit);
  }

  /// Who starts next, and when where a rate says so.
  static std::string next_text(const json& next, const json& rate) {
    std::string text;
    for (const json& place : next) {
      text += (text.empty() ? "" : ", ") + task_of(place);
      if (const std::int64_t priority = number(place, "priority"); priority != 0)
        text += fmt::format(" (priority {})", priority);
    }
    const bool waits = rate.is_object() && number(rate, "next_start_ms") > 0;
    if (text.empty() || !waits) return text;
    return fmt::format("in {}: {}", format_took(Duration(number(rate, "next_start_ms"))), text);
  }

  /// `default`, `db of sales`, `default of run 7k3f9q`.
  static std::string label_of(const std::string& name, const json& job, const json& run) {
    if (run.is_string()) {
      return fmt::format("{} of run {}", name, short_name(run.get_ref<const std::string&>()));
    }
    return job.is_string() ? fmt::format("{} of {}", name, job.get<std::string>()) : name;
  }

  static Entry entry_of(const json& pool) {
    Entry entry;
    const std::string name = pool.value("pool", std::string());
    const json job = member(pool, "job", nullptr);
    const json run = member(pool, "run", nullptr);
    const json rate = member(pool, "rate", nullptr);
    const json holders = member(pool, "holders", json::array());
    const json next = member(pool, "next", json::array());
    entry.object = {{"pool", name},
                    {"job", OrderedJson::parse(job.dump())},
                    {"run", OrderedJson::parse(run.dump())},
                    {"slots", number(pool, "slots")},
                    {"used", number(pool, "used")},
                    {"waiting", number(pool, "waiting")},
                    {"rate", OrderedJson::parse(rate.dump())},
                    {"holders", OrderedJson::parse(holders.dump())},
                    {"next", OrderedJson::parse(next.dump())}};
    entry.cells = {{label_of(name, job, run)},
                   {format_count(number(pool, "slots"))},
                   {format_count(number(pool, "used"))},
                   {format_count(number(pool, "waiting"))},
                   {rate_text(rate)},
                   {held_text(holders)},
                   {next_text(next, rate)}};
    entry.name = name;
    return entry;
  }

  OutputOptions output_;
};

}  // namespace

std::unique_ptr<Verb> make_pools_verb() { return std::make_unique<PoolsVerb>(); }

}  // namespace pawl
