#pragma once

// JSON over JSON, as a View does it in place.

#include <utility>

#include "scheduler/spec/document.h"

namespace pawl {

/// `own` over `base`: objects merge key by key, `with` only for the same operator, everything else
/// replaces. A null of `own` stays, and removes when the whole is read.
inline Json merged(const Json& base, Json own) {
  if (!base.is_object() || !own.is_object()) return own;
  const bool is_foreign =
      base.contains("operator") && own.contains("operator") && base["operator"] != own["operator"];
  for (const auto& [key, value] : base.items()) {
    if (key == "with" && is_foreign) continue;
    const auto mine = own.find(key);
    if (mine == own.end()) {
      own[key] = value;
    } else {
      *mine = merged(value, std::move(*mine));
    }
  }
  return own;
}

}  // namespace pawl
