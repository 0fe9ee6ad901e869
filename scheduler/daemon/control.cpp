#include "scheduler/daemon/control.h"

#include <array>

#include <nlohmann/json.hpp>

namespace pawl {
namespace {

constexpr std::array kKinds = {
    ErrorKind::failed,       ErrorKind::invalid,       ErrorKind::not_found, ErrorKind::refused,
    ErrorKind::no_scheduler, ErrorKind::home_unusable, ErrorKind::storage,   ErrorKind::locked,
    ErrorKind::version,      ErrorKind::interrupted,
};

ErrorKind kind_by_status(int status) {
  for (const ErrorKind kind : kKinds) {
    if (http_status(kind) == status) return kind;
  }
  return status < 500 ? ErrorKind::invalid : ErrorKind::failed;
}

}  // namespace

std::string_view to_string(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::failed: return "failed";
    case ErrorKind::invalid: return "invalid";
    case ErrorKind::not_found: return "not_found";
    case ErrorKind::refused: return "refused";
    case ErrorKind::no_scheduler: return "no_scheduler";
    case ErrorKind::home_unusable: return "home_unusable";
    case ErrorKind::storage: return "storage";
    case ErrorKind::locked: return "locked";
    case ErrorKind::version: return "version";
    case ErrorKind::interrupted: return "interrupted";
  }
  return "";
}

int http_status(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::failed: return 500;
    case ErrorKind::invalid: return 400;
    case ErrorKind::not_found: return 404;
    case ErrorKind::refused: return 409;
    case ErrorKind::no_scheduler: return kStatusNoScheduler;
    case ErrorKind::home_unusable: return 507;
    case ErrorKind::storage: return 503;
    case ErrorKind::locked: return 423;
    case ErrorKind::version: return 505;
    case ErrorKind::interrupted: return 499;
  }
  return 500;
}

Error lost_answer() {
  return {ErrorKind::no_scheduler,
          "the scheduler went before it answered. Whether it did what was asked is unknown"};
}

std::string error_body(const Error& error) {
  const nlohmann::json body = {
      {"error", {{"kind", to_string(error.kind)}, {"message", error.message}}}};
  return body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

Error error_from(int status, std::string_view body) {
  Error error{kind_by_status(status),
              "the scheduler answered with status " + std::to_string(status)};
  const auto json = nlohmann::json::parse(body, nullptr, false);
  if (!json.is_object()) return error;
  const auto told = json.find("error");
  if (told == json.end() || !told->is_object()) return error;
  if (const auto message = told->find("message"); message != told->end() && message->is_string()) {
    error.message = message->get<std::string>();
  }
  if (const auto word = told->find("kind"); word != told->end() && word->is_string()) {
    for (const ErrorKind kind : kKinds) {
      if (to_string(kind) == word->get_ref<const std::string&>()) error.kind = kind;
    }
  }
  return error;
}

}  // namespace pawl
