#pragma once

// The operator `python` in a host without a scheduler, and a module to call.

#include <cstdint>
#include <string>
#include <utility>

#include <nlohmann/json.hpp>

#include "plugins/worker/python_program.h"
#include "scheduler/spec/value_schema.h"
#include "tests/integration/program_support.h"

namespace pawl::test {

/// A folder with a module `shop`, and attempts that call into it.
class Python {
 public:
  explicit Python(const char* module) { write_file(folder_ / "shop.py", module); }

  TestHost::Make make() {
    return [this](Loop& loop, ProgramHost& host, OperatorEvents& events) {
      auto made = make_python_operator(loop, host, own_.path(), events);
      REQUIRE(made);
      return std::move(*made);
    };
  }

  OperatorRequest request(std::int64_t id, const std::string& function,
                          nlohmann::json more = {}) const {
    nlohmann::json parameters = {{"call", "shop:" + function}, {"processes", 1}};
    if (more.is_object()) parameters.update(more);
    REQUIRE_FALSE(schema_violation(nlohmann::json::parse(python_schema()), parameters));
    OperatorRequest made = TestHost::request(id, parameters.dump());
    made.working_dir = folder_.path();
    return made;
  }

  const std::string& folder() const { return folder_.path(); }

 private:
  ScratchFolder folder_;
  ScratchFolder own_;
};

/// Calls into the module `shop` that has this text.
struct PythonCalls {
  explicit PythonCalls(const char* module) : python(module) {}

  Python python;
  TestHost host{python.make()};
  std::int64_t last = 0;

  std::int64_t start(const std::string& function, const nlohmann::json& more = {}) {
    host.start(python.request(++last, function, more));
    return last;
  }
  const OperatorResult& call(const std::string& function, const nlohmann::json& more = {}) {
    return host.end(start(function, more));
  }
  Recorder::Told& told(std::int64_t id) { return host.recorder.told[id]; }
  void wait_for_log(std::int64_t id, const std::string& text) {
    host.wait([&, id] { return told(id).out.find(text) != std::string::npos; });
  }
};

}  // namespace pawl::test
