#pragma once

// What every plugin must do, as checks that its author runs (`pawl operators check`). Each check
// has a child process of its own and a time-out, so a library may crash, hang or spoil memory as it
// likes: the check fails and the next one begins. The program of a manifest is a child of that.

#include <functional>
#include <string>

namespace pawl {

struct ConformanceSubject {
  std::string plugin;      ///< path of the shared library or the manifest, absolute
  std::string only;        ///< name of one operator; empty: all
  std::string parameters;  ///< JSON text of `with`, with which attempts end; empty: {}
};

struct ConformanceVerdict {
  enum class Outcome { passed, failed, skipped };
  std::string check;
  std::string operator_name;  ///< empty: the plugin
  Outcome outcome = Outcome::passed;
  std::string why;  ///< of what did not pass; of what passed, what was seen
};

/// Runs all checks, one after the other, and tells each verdict as it comes. True: none failed.
/// The process must have no other threads. Attempts that cannot be made with these
/// parameters are skipped, not failed.
bool check_conformance(const ConformanceSubject& subject,
                       const std::function<void(const ConformanceVerdict&)>& on_verdict);

}  // namespace pawl
