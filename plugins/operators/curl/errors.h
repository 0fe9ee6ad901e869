#pragma once

// What libcurl's errors mean for an attempt.

#include <string>
#include <string_view>

#include <curl/curl.h>

#include "pawl/operator.hpp"

namespace pawl::operators {

/// The class of an error, as users see and match it: `CouldntConnect`, `TlsCertificate`.
std::string_view class_of(CURLcode code);

/// True when the same call would fail in the same way: the parameters are wrong, or the other
/// side's certificate is. All else may heal.
bool is_permanent(CURLcode code);

/// The failure of a transfer to `where`. `detail` is libcurl's own sentence; may be empty.
plugin::Result transfer_failure(CURLcode code, const std::string& where, std::string_view detail);

/// The failure of an attempt whose parameters cannot work.
plugin::Result parameter_failure(const std::string& message);

}  // namespace pawl::operators
