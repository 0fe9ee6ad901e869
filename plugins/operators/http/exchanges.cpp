#include "plugins/operators/http/exchanges.h"

#include <utility>

namespace pawl::operators {

namespace {

// After it people want to know what an attempt waits for.
constexpr auto kTellAfter = std::chrono::seconds(1);

}  // namespace

void HttpExchanges::begin(plugin::Attempt attempt, const plugin::Request& request,
                          HttpTarget&& target, BodyFile file, std::unique_ptr<HttpJudge> judge) {
  auto exchange = std::make_unique<HttpExchange>(shared_, attempt, request, std::move(target),
                                                 std::move(file), std::move(judge), *this);
  exchange->send();
  open_.emplace(attempt.get(), std::move(exchange));
  if (look_ == nullptr) look_later();
}

void HttpExchanges::ended(plugin::Attempt attempt, const plugin::Result& result) {
  // Its file and its memory go before anybody learns that it is over.
  open_.erase(attempt.get());
  attempt.finish(result);
}

/// One timer for all: thousands begin and end before it fires.
void HttpExchanges::look_later() {
  look_ = std::make_unique<plugin::TimeWatch>(host_, kTellAfter, [this] { look(); });
}

void HttpExchanges::look() {
  look_.reset();
  for (const auto& [attempt, exchange] : open_) {
    if (exchange->is_older_than(kTellAfter)) exchange->tell();
  }
  if (!open_.empty()) look_later();
}

void HttpExchanges::cancel(plugin::Attempt attempt) {
  const auto found = open_.find(attempt.get());
  if (found == open_.end()) return;
  found->second->tell();
  open_.erase(found);
  attempt.finish(plugin::Result::failure("cancelled", "Cancelled"));
}

}  // namespace pawl::operators
