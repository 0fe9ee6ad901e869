#pragma once

// The servers of tests/unit/counterparts.py, and a certificate for them.

#include <cstdlib>
#include <string>
#include <vector>

#include "scheduler/base/check.h"
#include "tests/unit/loop_support.h"
#include "tests/unit/server_process.h"

namespace pawl::test {

class Counterpart : public ServerProcess {
 public:
  explicit Counterpart(std::vector<std::string> arguments)
      : ServerProcess(with_program(std::move(arguments))) {}

 private:
  static std::vector<std::string> with_program(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {PAWL_PYTHON, PAWL_COUNTERPARTS});
    return arguments;
  }
};

/// A certificate for localhost that signs itself, made anew: `CERT`, then its key.
inline std::vector<std::string> make_certificate(const ScratchFolder& folder) {
  const std::string certificate = folder / "cert.pem";
  const std::string key = folder / "key.pem";
  // A configuration of its own: not every machine with the program has one.
  write_file(folder / "cert.cnf",
             "[req]\ndistinguished_name = name\nx509_extensions = extensions\nprompt = no\n"
             "[name]\nCN = localhost\n"
             "[extensions]\nsubjectAltName = DNS:localhost,IP:127.0.0.1\n"
             "basicConstraints = critical,CA:TRUE\n");
  const std::string command =
      "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -config " +
      (folder / "cert.cnf") + " -out " + certificate + " -keyout " + key + " 2>/dev/null";
  PAWL_CHECK(std::system(command.c_str()) == 0);
  return {certificate, key};
}

}  // namespace pawl::test
