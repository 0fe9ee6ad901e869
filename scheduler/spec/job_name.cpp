#include "scheduler/spec/job_name.h"

#include <string>

#include "scheduler/base/text.h"

namespace pawl {

Error unknown_job(std::string_view name, std::span<const std::string_view> names) {
  const std::string_view near = nearest_word(name, names);
  return {ErrorKind::not_found, "there is no job '" + escape_for_terminal(name) + "' here. " +
                                    (near.empty() ? std::string("`pawl jobs` lists those there are")
                                                  : "Did you mean " + std::string(near) + "?")};
}

}  // namespace pawl
