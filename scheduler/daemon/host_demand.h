#pragma once

// Which plugins somebody waits for a host of, and when the next one of each starts: at once, and
// with back-off after hosts that died young.

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "scheduler/loop/loop.h"
#include "scheduler/loop/timer.h"

namespace pawl {

class HostDemand {
 public:
  /// `start` starts a host of that plugin; called from `want` or from the loop.
  HostDemand(Loop& loop, std::function<void(const std::string& plugin)> start);

  /// Somebody waits for a host of the plugin, for that operator. Nothing is started while one is on
  /// its way.
  void want(const std::string& plugin, const std::string& operator_name);
  void came_up(const std::string& plugin);
  /// Of a host that died before it came up.
  struct Missed {
    std::string operator_name;  ///< that it was waited for, perhaps of another plugin by now
    int in_a_row = 0;           ///< hosts of the plugin that did not come up, this one included
  };
  /// One is dead. `was_young`: so soon after its start that it counts as a failed one. Nothing:
  /// nobody waited for it. Else who waits is forgotten.
  std::optional<Missed> died(const std::string& plugin, bool was_young);

 private:
  struct OfPlugin {
    std::string operator_name;  ///< that one was wanted for last
    bool is_coming = false;     ///< asked for, and not up yet
    int failures_in_a_row = 0;
    int missed_in_a_row = 0;
    std::unique_ptr<Timer> timer;
  };

  Loop& loop_;
  std::function<void(const std::string&)> start_;
  std::map<std::string, OfPlugin> plugins_;
};

}  // namespace pawl
