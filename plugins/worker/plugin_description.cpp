#include "plugins/worker/plugin_description.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>

#include "plugins/worker/launcher.h"
#include "plugins/worker/login.h"
#include "plugins/worker/manifest.h"
#include "plugins/worker/native_library.h"
#include "scheduler/spec/value_schema.h"

namespace pawl {
namespace {

constexpr std::size_t kManifestBytesMax = 1u << 20;

bool is_operator_name(const std::string& name) {
  if (name.empty() || name.size() > 64 || name[0] < 'a' || name[0] > 'z') return false;
  return name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == std::string::npos;
}

}  // namespace

Result<void> check_is_file(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0 || S_ISREG(info.st_mode)) return {};
  return Error{ErrorKind::invalid, path + ": is no file, and no link to one"};
}

Result<Manifest> read_manifest(const std::string& path) {
  if (auto done = check_is_file(path); !done) return done.error();
  std::ifstream file(path);
  std::string text(kManifestBytesMax + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(file.gcount()));
  if (text.empty() || text.size() > kManifestBytesMax) {
    return Error{ErrorKind::invalid, path + ": cannot be read, is empty or over 1 MiB"};
  }
  const std::size_t slash = path.rfind('/');
  ManifestResult read = parse_manifest(text, path.substr(slash + 1), path.substr(0, slash));
  if (!read.ok) {
    std::string all;
    for (const Diagnostic& one : read.diagnostics)
      all += (all.empty() ? "" : "; ") + format_diagnostic(path, one);
    return Error{ErrorKind::invalid, std::move(all)};
  }
  return std::move(read.manifest);
}

namespace {

/// Why none of these files can be executed, as an errno: one that is there says more than those
/// that are not. 0: one can.
int why_not_executable(const std::vector<std::string>& files) {
  int why = ENOENT;
  for (const std::string& file : files) {
    struct stat info {};
    const bool is_folder = ::stat(file.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
    if (!is_folder && ::access(file.c_str(), X_OK) == 0) return 0;
    const int error = is_folder ? EISDIR : errno;
    if (error != ENOENT && error != ENOTDIR) why = error;
  }
  return why;
}

/// The folders in which the program is looked for. Unless the manifest says so itself, processes
/// get the PATH of the scheduler, which is also that of who describes plugins for it: of this
/// process.
std::string path_of(const Manifest& manifest) {
  if (const auto own = manifest.env.find("PATH"); own != manifest.env.end()) return own->second;
  const char* here = ::getenv("PATH");
  return here != nullptr ? here : login_defaults().at("PATH");
}

/// That the program is there and can be started.
Result<void> check_program(const std::string& path, const Manifest& manifest) {
  const std::string& program = manifest.command.front();
  const std::string folders = path_of(manifest);
  std::vector<std::string> files = program_candidates(program, folders);
  for (std::string& file : files) {
    if (!file.starts_with('/')) file.insert(0, "/");  // where its processes start
  }
  const int why = why_not_executable(files);
  if (why == 0) return {};
  const bool is_nowhere = why == ENOENT && program.find('/') == std::string::npos;
  return Error{ErrorKind::invalid,
               path + ": its program " + program +
                   (is_nowhere ? " is in none of the folders of PATH, " + folders +
                                     " (its path, or PATH in \"env\", says where it is)"
                               : std::string(" cannot be run: ") + std::strerror(why))};
}

}  // namespace

Result<std::vector<OperatorInfo>> describe_plugin(const std::string& path) {
  std::vector<OperatorDescription> described;
  if (path.ends_with(".json")) {
    auto manifest = read_manifest(path);
    if (!manifest) return manifest.error();
    if (auto done = check_program(path, *manifest); !done) return done.error();
    described.push_back({manifest->name, manifest->summary, manifest->schema});
  } else {
    auto library = NativeLibrary::load(path);
    if (!library) return library.error();
    described = library->describe();
  }
  std::vector<OperatorInfo> all;
  for (OperatorDescription& one : described) {
    Json schema = Json::parse(one.schema, nullptr, false);
    if (!is_operator_name(one.name) || one.name == "process") {
      return Error{ErrorKind::invalid, path + ": '" + one.name + "' is no name for an operator"};
    }
    if (!schema.is_object()) {
      return Error{ErrorKind::invalid, path + ": the schema of " + one.name + " is no JSON object"};
    }
    if (const auto errors = check_operator_schema(schema); !errors.empty()) {
      const auto& [pointer, message] = errors.front();
      return Error{ErrorKind::invalid, path + ": the schema of " + one.name + ": " + message +
                                           (pointer.empty() ? "" : " (at " + pointer + ")")};
    }
    all.push_back({std::move(one.name), std::move(one.summary), std::move(schema), path});
  }
  return all;
}

}  // namespace pawl
