#include "plugins/operators/postgres/postgres.h"

#include <algorithm>
#include <string>
#include <utility>

#include <libpq-fe.h>
#include <nlohmann/json.hpp>

#include "plugins/operators/sql/place.h"
#include "scheduler/base/text.h"

namespace pawl::operators::postgres {

using nlohmann::json;
using plugin::Result;

namespace {

std::vector<std::optional<std::string>> parameters_of(const json& with) {
  std::vector<std::optional<std::string>> out;
  const auto given = with.find("parameters");
  if (given == with.end()) return out;
  for (const json& value : *given) {
    if (value.is_null()) {
      out.emplace_back();
    } else {
      out.emplace_back(value.is_string() ? value.get<std::string>() : value.dump());
      check_no_zero(*out.back(), "parameters");
    }
  }
  return out;
}

Work work_of(const plugin::Request& request) {
  const json with = json::parse(request.parameters());
  auto target = Target::of(with, request);
  if (!target) throw WrongParameters{target.error().message};
  const auto timeout = parse_duration(with.value("connect_timeout", "10s"));
  if (!timeout) throw WrongParameters{"connect_timeout: " + timeout.error().message};
  std::optional<std::uint64_t> rows_max;
  if (with.contains("max_rows")) rows_max = with.at("max_rows").get<std::uint64_t>();
  Work work{std::move(*target), statements_of(with), parameters_of(with),
            RowWriter(request.output_format(), rows_max), std::min(*timeout, plugin::kWaitMax)};
  for (const auto& [word, value] : work.target.words()) check_no_zero(value, word);
  return work;
}

}  // namespace

Postgres::Postgres(plugin::Host host) : host_(host), idle_(host) {
  // Without it a key under a password asks for it at the terminal.
  ::PQsetSSLKeyPassHook_OpenSSL(::PQdefaultSSLKeyPassHook_OpenSSL);
}

void Postgres::start(plugin::Attempt attempt, const plugin::Request& request) {
  try {
    Work work = work_of(request);
    auto session = std::make_unique<Session>(Session::Tools{host_, *this, idle_, cancellers_},
                                             attempt, std::move(work));
    Session& begun = *session;
    sessions_[attempt.get()] = {++last_number_, std::move(session)};
    begun.begin();
  } catch (const WrongParameters& wrong) {
    attempt.finish(Result::permanent(wrong.message, "InvalidParameter"));
  }
}

void Postgres::cancel(plugin::Attempt attempt) {
  const auto found = sessions_.find(attempt.get());
  if (found != sessions_.end()) found->second.session->cancel();
}

void Postgres::ended(Session& session, Result result) {
  plugin::Attempt attempt = session.attempt();
  const auto found = sessions_.find(attempt.get());
  const std::unique_ptr<Session> over = std::move(found->second.session);
  sessions_.erase(found);
  attempt.finish(result);
}

pawl::Result<void> Postgres::look_up(Session& session, const Target& target) {
  pawl_attempt* attempt = session.attempt().get();
  const std::uint64_t number = sessions_.at(attempt).number;
  const std::weak_ptr<Postgres*> self = self_;
  const auto is_taken = resolvers_.hand_over([host = host_, self, attempt, number, target] {
    const pawl::Result<Target> found = target.with_addresses();
    host.post([self, attempt, number, found] {
      if (const auto us = self.lock()) (*us)->looked_up(attempt, number, found);
    });
  });
  if (!is_taken) return is_taken.error();
  return {};
}

/// The session may be over, and another attempt may have its place.
void Postgres::looked_up(pawl_attempt* attempt, std::uint64_t number,
                         const pawl::Result<Target>& target) {
  const auto found = sessions_.find(attempt);
  if (found != sessions_.end() && found->second.number == number) {
    found->second.session->resolved(target);
  }
}

}  // namespace pawl::operators::postgres
