#pragma once

// The manifest of an operator that is a program: NAME.json in a plugin folder says what it is
// called, what its parameters look like, and how its warm processes are started and kept. Pure: who
// reads the file hands over its text.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "scheduler/base/time.h"
#include "scheduler/spec/parse.h"
#include "scheduler/spec/value_schema.h"

namespace pawl {

/// How many processes of one program there may be, whatever a manifest says.
inline constexpr int kProgramProcessesMax = 1'000;
/// Attempts at once in one process.
inline constexpr int kProgramConcurrencyMax = 10'000;

struct Manifest {
  std::string name;                             ///< as in `"operator": …`
  std::string summary;                          ///< one sentence
  std::string schema = R"({"type":"object"})";  ///< JSON Schema of `with`, JSON text
  std::vector<std::string> command;  ///< argv; a relative path starts at the manifest's folder
  int processes = 0;                 ///< 0: as pawl thinks best
  int concurrency = 1;               ///< attempts at once in one process
  std::int64_t recycle_after = 0;    ///< a process ends after so many attempts; 0: never
  std::uint64_t memory_limit = 0;    ///< bytes; a process ends above it, between attempts; 0: never
  Duration start_timeout = std::chrono::seconds(30);
  std::map<std::string, std::string> env;  ///< added to what every process gets
};

struct ManifestResult {
  Manifest manifest;                    ///< meaningful when `ok`
  std::vector<Diagnostic> diagnostics;  ///< all that is wrong, by place
  bool ok = false;
};

/// Reads the text of a manifest. `file_name` is `NAME.json`, without folders; `folder` is absolute.
/// Total: any bytes give a result.
ManifestResult parse_manifest(std::string_view text, std::string_view file_name,
                              const std::string& folder);

}  // namespace pawl
