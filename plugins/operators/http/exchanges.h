#pragma once

// The attempts of one operator that are under way, each an exchange.

#include <memory>
#include <string>
#include <unordered_map>

#include "pawl/operator.hpp"
#include "plugins/operators/http/exchange.h"

namespace pawl::operators {

class HttpExchanges final : public HttpExchange::Owner {
 public:
  explicit HttpExchanges(plugin::Host host) : host_(host), shared_(host) {}

  /// Sends the request of `attempt` and finishes it with what `judge` says.
  void begin(plugin::Attempt attempt, const plugin::Request& request, HttpTarget&& target,
             BodyFile file, std::unique_ptr<HttpJudge> judge);
  /// Ends it at once.
  void cancel(plugin::Attempt attempt);

 private:
  void ended(plugin::Attempt attempt, const plugin::Result& result) override;
  void look_later();
  void look();

  plugin::Host host_;
  HttpExchange::Shared shared_;
  std::unordered_map<pawl_attempt*, std::unique_ptr<HttpExchange>> open_;
  std::unique_ptr<plugin::TimeWatch> look_;  ///< for those that take long
};

}  // namespace pawl::operators
