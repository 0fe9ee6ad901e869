#pragma once

// Which errors are the same error. Pure.

#include <string>
#include <string_view>

namespace pawl {

/// The first line of an error's message with what differs from one occurrence to the next put into
/// words: numbers become `<n>`, UUIDs and long hexadecimal words `<id>`, dates and times `<time>`,
/// paths, also what follows the host of an address, `<path>`. Messages that differ in nothing else
/// give the same text. At most 300 bytes, cut between characters.
std::string normalize_error(std::string_view message);

}  // namespace pawl
