#pragma once

// The text of statements as a job file gives it, and where in it something went wrong.

#include <cstddef>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

namespace pawl::operators {

/// A text, or a list of lines joined by line ends.
std::string text_of_lines(const nlohmann::json& value);

/// `line 3, column 7: SELECT * FROM …`, for a place counted in bytes from 0.
std::string describe_place(std::string_view text, std::size_t offset);

/// The offset in bytes of a place counted in characters from 0.
std::size_t offset_of_character(std::string_view text, std::size_t characters);

}  // namespace pawl::operators
