#include "plugins/operators/basic/noop.h"

#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace pawl::operators {

using nlohmann::json;

namespace {

std::string lines_of(const json& list) {
  std::string out;
  for (const json& element : list) out += (out.empty() ? "" : "\n") + element.dump();
  return out;
}

std::string text_of(const json& output, std::string_view format) {
  if (format == "text" && output.is_string()) return output.get<std::string>();
  return format == "jsonl" && output.is_array() ? lines_of(output) : output.dump();
}

}  // namespace

void Noop::start(plugin::Attempt attempt, const plugin::Request& request) {
  // Most have no parameters at all: then there is nothing to parse.
  if (request.parameters() == "{}" || request.output_format() == "none") {
    return attempt.finish(plugin::Result::success());
  }
  const json parameters = json::parse(request.parameters());
  const auto output = parameters.find("output");
  if (output == parameters.end()) return attempt.finish(plugin::Result::success());
  attempt.finish(plugin::Result::success(text_of(*output, request.output_format())));
}

/// There is no moment between its start and its end.
void Noop::cancel(plugin::Attempt) {}

}  // namespace pawl::operators
