#include "cli/operators.h"

#include "scheduler/spec/process_schema.h"

namespace pawl {

std::vector<KnownOperator> known_operators() {
  return {
      {"process", "runs a program (`command`) or a script (`script`)", "pawl", process_schema()}};
}

}  // namespace pawl
