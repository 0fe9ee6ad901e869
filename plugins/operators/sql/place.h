#pragma once

// The text of statements as a job file gives it, and where in it something is wrong.

#include <cstddef>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

namespace pawl::operators {

/// What the job file gives cannot work. Ends in the operator.
struct WrongParameters {
  std::string message;
};

/// Throws WrongParameters where `text` has a zero byte: the databases' libraries would read it up
/// to there, and no further. `what` names the parameter.
void check_no_zero(std::string_view text, const std::string& what);

/// The statements that `with` holds as `sql`: a text, or a list of lines joined by line ends.
/// Throws WrongParameters.
std::string statements_of(const nlohmann::json& with);

/// `line 3, column 7: SELECT * FROM …`, for a place counted in bytes from 0.
std::string describe_place(std::string_view text, std::size_t offset);

/// The offset in bytes of a place counted in characters from 0.
std::size_t offset_of_character(std::string_view text, std::size_t characters);

}  // namespace pawl::operators
