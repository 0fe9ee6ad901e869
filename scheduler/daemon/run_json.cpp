#include "scheduler/daemon/run_json.h"

#include "scheduler/base/text.h"

namespace pawl {

using nlohmann::json;

json counts_json(const Counts& counts) {
  json out = json::object();
  for (std::size_t s = 0; s < kTaskStateCount; ++s)
    out[std::string(kTaskStateWords[s])] = counts[s];
  return out;
}

json explanation_json(const Engine& engine, const std::vector<Explanation>& reasons) {
  json out = json::array();
  for (const Explanation& reason : reasons) {
    json line = {{"kind", reason.kind}, {"text", reason.text}};
    if (reason.number != 0) line["number"] = reason.number;
    if (reason.run) {
      const RunRow* run = engine.run(*reason.run);
      if (run != nullptr) line["run"] = run->name;
      const JobSpec* job = engine.job_of(*reason.run);
      if (reason.task && job != nullptr) line["task"] = job->node(*reason.task).id;
    }
    out.push_back(std::move(line));
  }
  return out;
}

json pools_json(const Engine& engine, Now now) {
  json out = json::array();
  for (const PoolView& pool : engine.pools(now)) {
    json holders = json::array();
    for (const PoolView::Holder& holder : pool.holders) {
      holders.push_back({{"run", engine.run(holder.run)->name},
                         {"task", engine.job_of(holder.run)->node(holder.task).id},
                         {"slots", holder.slots}});
    }
    json next = json::array();
    for (const PoolView::Next& one : pool.next) {
      next.push_back({{"run", engine.run(one.run)->name},
                      {"task", engine.job_of(one.run)->node(one.task).id},
                      {"priority", one.priority}});
    }
    json rate = nullptr;
    if (pool.rate) {
      const Duration wait = pool.next_start.value_or(Duration{0});
      rate = {
          {"count", pool.rate->count},
          {"per", format_duration(pool.rate->per)},
          {"used", pool.started},
          {"next_start_at", pool.next_start ? json(format_utc(now.wall + wait)) : json(nullptr)},
          {"next_start_ms", wait.count()}};
    }
    out.push_back({{"pool", pool.name},
                   {"job", pool.job.empty() ? json(nullptr) : json(pool.job)},
                   {"run", pool.run ? json(engine.run(*pool.run)->name) : json(nullptr)},
                   {"slots", pool.limit},
                   {"used", pool.taken},
                   {"waiting", pool.waiting},
                   {"rate", std::move(rate)},
                   {"holders", std::move(holders)},
                   {"next", std::move(next)}});
  }
  return out;
}

}  // namespace pawl
