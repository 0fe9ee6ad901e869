// What of a valid job this version cannot run yet. The file is accepted by `validate`; whoever
// would run it refuses, so that nothing is silently left out. At present there is nothing.

#include "scheduler/spec/parse.h"

namespace pawl {

std::vector<std::string> not_yet_available(const JobSpec&) { return {}; }

}  // namespace pawl
