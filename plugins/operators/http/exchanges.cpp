#include "plugins/operators/http/exchanges.h"

#include <utility>

namespace pawl::operators {

void HttpExchanges::begin(plugin::Attempt attempt, HttpTarget target, std::string body_path,
                          std::unique_ptr<HttpJudge> judge) {
  auto on_end = [this, attempt](const plugin::Result& result) mutable {
    // Its file and its memory go before anybody learns that it is over.
    open_.erase(attempt.get());
    attempt.finish(result);
  };
  auto exchange =
      std::make_unique<HttpExchange>(shared_, attempt, std::move(target), std::move(body_path),
                                     std::move(judge), std::move(on_end));
  exchange->send();
  open_.emplace(attempt.get(), std::move(exchange));
}

void HttpExchanges::cancel(plugin::Attempt attempt) {
  if (open_.erase(attempt.get()) == 0) return;
  attempt.finish(plugin::Result::failure("cancelled", "Cancelled"));
}

}  // namespace pawl::operators
