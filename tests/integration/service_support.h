#pragma once

// A service that runs in the process of its test, and what its clients ask it.

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "scheduler/daemon/service.h"
#include "tests/unit/loop_support.h"

namespace pawl::test {

class RunningService {
 public:
  /// The answer to a request of the home's socket.
  nlohmann::json ask(const std::string& method, const std::string& path,
                     const nlohmann::json& body = nullptr,
                     const std::map<std::string, std::string>& query = {}) {
    std::optional<std::string> answer;
    ControlRequest request;
    request.method = method;
    request.path = path;
    request.query = query;
    request.actor = "ana";
    if (!body.is_null()) request.body = body.dump();
    service_->call(request, [&answer](int, std::string text) { answer = std::move(text); });
    until([&] { return answer.has_value(); });
    return nlohmann::json::parse(*answer);
  }

  std::string state_of(const std::string& run) {
    return ask("GET", "/v1/runs/" + run + "/follow").value("state", "");
  }

  template <typename Done>
  void until(Done done) {
    REQUIRE(run_until(service_->loop(), [&] { return done(); }));
  }

 protected:
  RunningService() = default;
  ~RunningService() = default;

  /// Of a scheduler with one supervisor in the folder's `home`.
  ServiceOptions options() const {
    ServiceOptions options;
    options.home = folder_ / "home";
    options.program = PAWL_PROGRAM;
    options.version = "0.1.0";
    options.serves = true;
    options.settings.settings.workers = 1;
    return options;
  }
  /// Starts it, in the place of the one that runs.
  void open(ServiceOptions options) {
    service_.reset();
    auto opened = Service::open(std::move(options));
    REQUIRE(opened);
    service_ = std::move(*opened);
    until([this] { return service_->is_ready(); });
  }

  ScratchFolder folder_;
  std::unique_ptr<Service> service_;
};

}  // namespace pawl::test
