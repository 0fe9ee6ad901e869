#include "scheduler/daemon/host_demand.h"

#include <algorithm>
#include <utility>

namespace pawl {
namespace {

constexpr Duration kFirstPause = std::chrono::milliseconds(500);
constexpr int kDoublingsMax = 5;

}  // namespace

HostDemand::HostDemand(Loop& loop, std::function<void(const std::string& plugin)> start)
    : loop_(loop), start_(std::move(start)) {}

void HostDemand::want(const std::string& plugin, const std::string& operator_name) {
  OfPlugin& of = plugins_[plugin];
  of.operator_name = operator_name;
  if (std::exchange(of.is_coming, true)) return;
  if (of.failures_in_a_row == 0) {
    start_(plugin);
    return;
  }
  if (!of.timer) of.timer = std::make_unique<Timer>(loop_, [this, plugin] { start_(plugin); });
  const int doublings = std::min(of.failures_in_a_row - 1, kDoublingsMax);
  of.timer->start_after(kFirstPause * (1 << doublings));
}

void HostDemand::came_up(const std::string& plugin) {
  const auto at = plugins_.find(plugin);
  if (at == plugins_.end()) return;
  at->second.is_coming = false;
  at->second.missed_in_a_row = 0;
}

std::optional<HostDemand::Missed> HostDemand::died(const std::string& plugin, bool was_young) {
  auto at = plugins_.find(plugin);
  if (at == plugins_.end()) return std::nullopt;
  OfPlugin& of = at->second;
  of.failures_in_a_row = was_young ? of.failures_in_a_row + 1 : 0;
  if (!std::exchange(of.is_coming, false)) return std::nullopt;
  return Missed{of.operator_name, ++of.missed_in_a_row};
}

}  // namespace pawl
