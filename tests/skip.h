#pragma once

// Tests of what this machine has not got. CTest reports them as skipped, never as passed.

#include <string_view>

namespace pawl::test {

/// Says why the test that calls it cannot go on here; it then returns. When nothing fails, its
/// program ends with 77.
void skip(std::string_view why);

}  // namespace pawl::test
