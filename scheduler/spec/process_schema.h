#pragma once

// JSON Schema of what a task that runs a program or a script takes: what `with` is to other
// operators. From the same field table as the parser.

#include <string>

namespace pawl {

std::string process_schema();

}  // namespace pawl
