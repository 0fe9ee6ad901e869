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
    if (!answer) return answer.error();
    json pools = json::array();
    if (*answer) {
      pools = **answer;
    } else {
      session.notice("no scheduler is up: nothing holds a slot. Start one: pawl serve");
    }
    Listing list(session.out, output_, {"pool", "slots", "used", "waiting", "holders"},
                 {{"POOL"},
                  {"SLOTS", false, true},
                  {"USED", false, true},
                  {"WAITING", false, true},
                  {"HELD BY", false, false, 20}});
    for (const json& pool : pools) list.add(entry_of(pool));
    list.finish();
    return 0;
  }

 private:
  static std::int64_t number(const json& object, const char* key) {
    const auto found = object.find(key);
    return found != object.end() && found->is_number() ? found->get<std::int64_t>() : 0;
  }

  static Entry entry_of(const json& pool) {
    Entry entry;
    const std::string name = pool.value("pool", std::string());
    const json holders = pool.contains("holders") ? pool["holders"] : json::array();
    std::string held;
    for (const json& holder : holders) {
      if (!held.empty()) held += ", ";
      held += fmt::format("{}/{} {}", short_name(holder.value("run", std::string())),
                          holder.value("task", std::string()), number(holder, "slots"));
    }
    entry.object = {{"pool", name},
                    {"slots", number(pool, "slots")},
                    {"used", number(pool, "used")},
                    {"waiting", number(pool, "waiting")},
                    {"holders", OrderedJson::parse(holders.dump())}};
    entry.cells = {{name},
                   {format_count(number(pool, "slots"))},
                   {format_count(number(pool, "used"))},
                   {format_count(number(pool, "waiting"))},
                   {held}};
    entry.name = name;
    return entry;
  }

  OutputOptions output_;
};

}  // namespace

std::unique_ptr<Verb> make_pools_verb() { return std::make_unique<PoolsVerb>(); }

}  // namespace pawl
