#pragma once

// One request as it is handled, whether it came over the socket or from the very process that is
// the scheduler, and how its JSON is read and answered.

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include <nlohmann/json.hpp>

#include "scheduler/base/result.h"

namespace pawl {

struct ControlRequest {
  std::string method;
  std::string path;
  std::map<std::string, std::string> query;
  std::string body;
  std::string actor;  ///< the user who asks
};

/// The way back to whoever asked.
class ControlAnswer {
 public:
  /// Takes a status as in HTTP, and JSON text.
  using Take = std::function<void(int status, std::string body)>;
  /// Has a function called once if whoever asked goes before the answer.
  using Watch = std::function<void(std::function<void()>)>;

  ControlAnswer() = default;
  template <typename F>
  ControlAnswer(F take, Watch on_gone = {})  // NOLINT(google-explicit-constructor)
      : take_(std::move(take)), on_gone_(std::move(on_gone)) {}

  void operator()(int status, std::string body) const { take_(status, std::move(body)); }
  void on_gone(std::function<void()> fn) const {
    if (on_gone_) on_gone_(std::move(fn));
  }

 private:
  Take take_;
  Watch on_gone_;
};

void refuse(const ControlAnswer& answer, const Error& error);

/// JSON text; bytes that are no UTF-8 are replaced.
std::string dump(const nlohmann::json& value);

// Members of a request's body: empty or false when missing or of another type.
std::string text_of(const nlohmann::json& body, const char* key);
bool flag_of(const nlohmann::json& body, const char* key);

std::int64_t number_of(const std::map<std::string, std::string>& query, const std::string& key,
                       std::int64_t otherwise);

}  // namespace pawl
