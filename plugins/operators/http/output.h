#pragma once

// The answer of a server as the output of a task.

#include <string>

#include <nlohmann/json.hpp>

#include "pawl/operator.hpp"
#include "plugins/operators/http/exchange.h"

namespace pawl::operators {

/// The largest output that the host takes.
inline constexpr std::size_t kOutputBytesMax = 1u << 20;

/// The body, in the format that the task declares. Fails when it is not of that format.
plugin::Result body_output(const HttpExchange& exchange, std::string_view format,
                           const std::string& body);

/// `{"status", "headers", "body"}`; the body as JSON where the server says that it is.
plugin::Result full_output(HttpExchange& exchange, const HttpAnswer& answer,
                           const std::string& body);

}  // namespace pawl::operators
