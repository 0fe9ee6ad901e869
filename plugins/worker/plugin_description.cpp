#include "plugins/worker/plugin_description.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>

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

Result<Manifest> read_manifest(const std::string& path) {
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

/// A program that is named by its path; one that is looked up is the business of who starts it.
Result<void> check_program(const std::string& path, const std::string& program) {
  if (program[0] != '/') return {};
  struct stat info {};
  const bool is_folder = ::stat(program.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
  if (!is_folder && ::access(program.c_str(), X_OK) == 0) return {};
  return Error{ErrorKind::invalid, path + ": its program " + program + " cannot be run: " +
                                       std::strerror(is_folder ? EISDIR : errno)};
}

}  // namespace

Result<std::vector<OperatorInfo>> describe_plugin(const std::string& path) {
  std::vector<OperatorDescription> described;
  if (path.ends_with(".json")) {
    auto manifest = read_manifest(path);
    if (!manifest) return manifest.error();
    if (auto done = check_program(path, manifest->command.front()); !done) return done.error();
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
    if (has_reserved_parameter(schema)) {
      return Error{ErrorKind::invalid,
                   path + ": " + one.name + ": " + std::string(kReservedParameter)};
    }
    all.push_back({std::move(one.name), std::move(one.summary), std::move(schema), path});
  }
  return all;
}

}  // namespace pawl
