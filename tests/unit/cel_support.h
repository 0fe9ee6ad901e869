#pragma once

// Tables of expressions: what is written, over which names, and what comes out.

#include <initializer_list>
#include <string>
#include <string_view>
#include <variant>

#include <catch2/catch.hpp>

#include "scheduler/spec/expression.h"

namespace pawl::test {

/// The value as JSON text, or `! OFFSET MESSAGE`.
inline std::string outcome(std::string_view expression, const Json& names = Json::object()) {
  const auto failed = [](const ExpressionError& error) {
    return "! " + std::to_string(error.offset) + " " + error.message;
  };
  auto compiled = Expression::compile(expression);
  if (const auto* error = std::get_if<ExpressionError>(&compiled)) return failed(*error);
  const auto value = std::get<Expression>(compiled).evaluate(JsonContext(names));
  if (const auto* error = std::get_if<ExpressionError>(&value)) return failed(*error);
  return std::get<Json>(value).dump();
}

struct Case {
  std::string_view expression;
  std::string_view expected;  ///< JSON text, or `! ` and a part of the message
};

/// Checks each line of a table over the same names.
inline void check(std::initializer_list<Case> table, const Json& names = Json::object()) {
  for (const Case& line : table) {
    INFO(line.expression);
    const std::string found = outcome(line.expression, names);
    if (line.expected.substr(0, 2) == "! ") {
      CHECK_THAT(found, Catch::Matchers::StartsWith("! "));
      CHECK_THAT(found, Catch::Matchers::Contains(std::string(line.expected.substr(2))));
    } else {
      CHECK(found == Json::parse(line.expected).dump());
    }
  }
}

}  // namespace pawl::test
