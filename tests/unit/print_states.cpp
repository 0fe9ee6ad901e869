// Prints docs/states.md: print_states > docs/states.md

#include <cstdio>

#include "tests/unit/core_states_page.h"

int main() {
  std::fputs(pawl::states_page().c_str(), stdout);
  return 0;
}
