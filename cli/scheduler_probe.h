#pragma once

// For verbs that only look: the scheduler of the home, if one is up. Never locks, never waits for a
// start, makes nothing.

#include <memory>
#include <optional>

#include "cli/port.h"

namespace pawl {

/// A way to the scheduler that is up; null when none is. Errors: locked (one is up and does not
/// answer, which is waited for once in the life of a verb), home_unusable, invalid.
Result<std::unique_ptr<Port>> find_scheduler(const Session& session);

/// One question without asking again; errors of the answer are errors.
Result<nlohmann::json> ask_once(Port& port, std::string_view method, std::string_view path);

/// One question to the scheduler that is up; nothing when none is, or it goes while it is asked.
Result<std::optional<nlohmann::json>> ask_if_up(const Session& session, std::string_view path);

/// Of `/v1/status`, with one question.
Result<std::optional<nlohmann::json>> status_if_up(const Session& session);

}  // namespace pawl
