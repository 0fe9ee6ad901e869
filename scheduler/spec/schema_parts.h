#pragma once

// Which parts of a schema are about what.

#include <functional>
#include <string>
#include <string_view>

#include "scheduler/spec/document.h"

namespace pawl {

/// Whether what stands in this keyword is about the same value as the schema around it.
bool is_about_the_same(std::string_view keyword);

/// Visits the schema, and all parts of it that judge the same value, with where they stand:
/// `pointer` is where the schema does.
void each_judge(const Json& schema, const std::string& pointer,
                const std::function<void(const Json&, const std::string&)>& visit);

/// What the schema says of a member or an element of its value by keywords of its own; null:
/// nothing.
const Json* schema_of_part(const Json& schema, const std::string& name);

}  // namespace pawl
