#pragma once

// An operator of the plugin `http` and a server that it may call.

#include <string>

#include <nlohmann/json.hpp>

#include "tests/unit/counterpart.h"
#include "tests/unit/operator_host.h"

namespace pawl::test {

struct HttpOperator {
  explicit HttpOperator(const std::string& name) : host(loop, "http", name) {}

  static Ask ask_with(const nlohmann::json& with) {
    Ask out;
    out.with = with.dump();
    return out;
  }

  Loop loop;
  Counterpart server{{"http"}};
  OperatorHost host;
};

}  // namespace pawl::test
