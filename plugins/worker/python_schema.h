#pragma once

// What the operator `python` is called and takes. Pure: for whoever checks job files.

#include <string_view>

namespace pawl {

inline constexpr std::string_view kPythonOperator = "python";
inline constexpr std::string_view kPythonSummary =
    "calls a function in a Python interpreter that stays warm";

/// The plugin that has it, which is a part of pawl: no file.
inline constexpr std::string_view kPythonPlugin = "python";

/// JSON Schema of its `with`.
std::string_view python_schema();

}  // namespace pawl
