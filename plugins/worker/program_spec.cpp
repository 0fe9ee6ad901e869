#include "plugins/worker/program_spec.h"

#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <string_view>
#include <utility>

#include "plugins/worker/definition.h"

namespace pawl {
namespace {

std::string_view name_of(std::string_view entry) { return entry.substr(0, entry.find('=')); }

class ManifestSource : public ProgramSource {
 public:
  ManifestSource(Manifest manifest, int processes)
      : manifest_(std::move(manifest)), processes_(processes) {}

  Result<std::string> key(const ProgramRequest& request) const override {
    std::string key;
    for (const std::string& entry : login_environment(request.environment)) {
      (key += entry) += '\0';
    }
    return key;
  }

  Result<ProgramSpec> spec(const ProgramRequest& request) const override {
    ProgramSpec spec;
    spec.operator_name = manifest_.name;
    spec.command = manifest_.command;
    for (std::string& entry : login_environment(request.environment)) {
      if (!manifest_.env.contains(std::string(name_of(entry)))) {
        spec.environment.push_back(std::move(entry));
      }
    }
    for (const auto& [name, value] : manifest_.env) spec.environment.push_back(name + "=" + value);
    spec.working_dir = "/";
    spec.processes = manifest_.processes > 0 ? manifest_.processes : processes_;
    spec.concurrency = manifest_.concurrency;
    spec.recycle_after = manifest_.recycle_after;
    spec.memory_limit = manifest_.memory_limit;
    spec.start_timeout = manifest_.start_timeout;
    return spec;
  }

 private:
  Manifest manifest_;
  int processes_;
};

}  // namespace

std::unique_ptr<ProgramSource> manifest_source(Manifest manifest, int processes) {
  return std::make_unique<ManifestSource>(std::move(manifest), processes);
}

int default_processes() { return std::max(4, static_cast<int>(2 * sysconf(_SC_NPROCESSORS_ONLN))); }

std::vector<std::string> login_environment(const std::vector<std::string>& environment) {
  std::vector<std::string> entries;
  for (const std::string& entry : environment) {
    const std::string_view name = name_of(entry);
    if (std::find(std::begin(kLoginVariables), std::end(kLoginVariables), name) !=
        std::end(kLoginVariables)) {
      entries.push_back(entry);
    }
  }
  return entries;
}

}  // namespace pawl
