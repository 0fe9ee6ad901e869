#include "plugins/operators/basic/noop.h"

#include <nlohmann/json.hpp>

namespace pawl::operators {

using nlohmann::json;

void Noop::start(plugin::Attempt attempt, const plugin::Request& request) {
  // Most have no parameters at all: then there is nothing to parse.
  if (request.parameters() == "{}" || request.output_format() == "none") {
    return attempt.finish(plugin::Result::success());
  }
  const json parameters = json::parse(request.parameters());
  const auto output = parameters.find("output");
  if (output == parameters.end()) return attempt.finish(plugin::Result::success());
  const bool is_plain = request.output_format() == "text" && output->is_string();
  attempt.finish(plugin::Result::success(is_plain ? output->get<std::string>() : output->dump()));
}

/// There is no moment between its start and its end.
void Noop::cancel(plugin::Attempt) {}

}  // namespace pawl::operators
