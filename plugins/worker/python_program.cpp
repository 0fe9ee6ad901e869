#include "plugins/worker/python_program.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "plugins/worker/program_operator.h"
#include "scheduler/base/text.h"
#include "scheduler/loop/fd.h"

namespace pawl {
namespace {

using nlohmann::json;

constexpr const char* kFileName = "pawl_python.py";

/// What of the parameters holds for an interpreter's whole life.
struct Life {
  std::string python = "python3";  ///< absolute, or a name for PATH
  int threads = 1;
  int processes = 0;
  std::int64_t recycle_after = 0;
  std::uint64_t memory_limit = 0;
  std::vector<std::string> path;
};

bool is_folder(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

std::string from(const std::string& folder, const std::string& path) {
  return path.starts_with('/') ? path : folder + "/" + path;
}

/// What a task asks for: a path from the working folder, or a virtual environment there; any other
/// name is one for PATH, whatever else is called so in the working folder.
std::string interpreter(const std::string& python, const std::string& working_dir) {
  const bool is_name = python.find('/') == std::string::npos;
  const std::string path = from(working_dir, python);
  const std::string in_folder = path + "/bin/python";
  if (is_name) return ::access(in_folder.c_str(), X_OK) == 0 ? in_folder : python;
  return is_folder(path) ? in_folder : path;
}

/// Most calls name none of these: then there is nothing to parse.
bool may_name_life(std::string_view parameters) {
  for (std::string_view key : {"\"python\"", "\"threads\"", "\"path\"", "\"processes\"",
                               "\"recycle_after\"", "\"memory_limit\""}) {
    if (parameters.find(key) != std::string_view::npos) return true;
  }
  return false;
}

template <class T>
void read_number(const json& parameters, const char* key, T least, T most, T& out) {
  const auto at = parameters.find(key);
  if (at == parameters.end() || !at->is_number_integer()) return;
  out = static_cast<T>(std::clamp<std::int64_t>(at->get<std::int64_t>(), least, most));
}

std::string text_of(const json& parameters, const char* key) {
  const auto at = parameters.find(key);
  return at != parameters.end() && at->is_string() ? at->get<std::string>() : "";
}

Result<Life> read_life(const ProgramRequest& request) {
  Life life;
  if (may_name_life(request.attempt->parameters)) {
    const json parameters = json::parse(request.attempt->parameters, nullptr, false);
    if (!parameters.is_object()) return Error{ErrorKind::invalid, "`with` is not an object"};
    if (std::string python = text_of(parameters, "python"); !python.empty()) {
      life.python = interpreter(python, request.attempt->working_dir);
    }
    read_number(parameters, "threads", 1, kProgramConcurrencyMax, life.threads);
    read_number(parameters, "processes", 1, kProgramProcessesMax, life.processes);
    read_number<std::int64_t>(parameters, "recycle_after", 1, INT64_MAX, life.recycle_after);
    if (const std::string limit = text_of(parameters, "memory_limit"); !limit.empty()) {
      auto size = parse_size(limit);
      if (!size) return Error{ErrorKind::invalid, "memory_limit: " + size.error().message};
      life.memory_limit = *size;
    }
    const json path = parameters.value("path", json::array());
    if (path.is_string()) life.path.push_back(path.get<std::string>());
    for (const json& folder : path.is_array() ? path : json::array()) {
      if (folder.is_string()) life.path.push_back(folder.get<std::string>());
    }
  }
  if (life.path.empty()) life.path.push_back(request.attempt->working_dir);
  for (std::string& folder : life.path) folder = from(request.attempt->working_dir, folder);
  return life;
}

/// Variables that an interpreter, or the loader of its libraries, reads once.
std::vector<std::string> life_environment(const std::vector<std::string>& environment) {
  std::vector<std::string> entries = login_environment(environment);
  for (const std::string& entry : environment) {
    if (entry.starts_with("PYTHON") || entry.starts_with("LD_")) entries.push_back(entry);
  }
  return entries;
}

/// One thread goes to the folder of each call; more of them share the folder of the process.
std::string folder_of(const Life& life, const ProgramRequest& request) {
  return life.threads > 1 ? request.attempt->working_dir : "/";
}

class PythonSource : public ProgramSource {
 public:
  PythonSource(std::string program, int processes)
      : program_(std::move(program)), processes_(processes) {}

  Result<std::string> key(const ProgramRequest& request) const override {
    auto life = read_life(request);
    if (!life) return life.error();
    std::string key = life->python;
    for (std::int64_t number :
         {std::int64_t{life->threads}, std::int64_t{life->processes}, life->recycle_after,
          static_cast<std::int64_t>(life->memory_limit)}) {
      (key += '\0') += std::to_string(number);
    }
    (key += '\0') += folder_of(*life, request);
    for (const std::string& folder : life->path) (key += '\0') += folder;
    for (const std::string& entry : life_environment(request.environment)) (key += '\0') += entry;
    return key;
  }

  Result<ProgramSpec> spec(const ProgramRequest& request) const override {
    auto life = read_life(request);
    if (!life) return life.error();
    const json options = {{"threads", life->threads}, {"path", life->path}};
    ProgramSpec spec;
    spec.operator_name = kPythonOperator;
    spec.command = {life->python, "-u", program_,
                    options.dump(-1, ' ', false, json::error_handler_t::replace)};
    spec.environment = life_environment(request.environment);
    spec.working_dir = folder_of(*life, request);
    spec.processes = life->processes > 0 ? life->processes : processes_;
    spec.concurrency = life->threads;
    spec.recycle_after = life->recycle_after;
    spec.memory_limit = life->memory_limit;
    return spec;
  }

 private:
  std::string program_;
  int processes_;
};

}  // namespace

std::unique_ptr<ProgramSource> python_source(std::string program, int processes) {
  return std::make_unique<PythonSource>(std::move(program), processes);
}

Result<std::unique_ptr<OperatorBackend>> make_python_operator(Loop& loop, ProgramHost& host,
                                                              const std::string& folder,
                                                              OperatorEvents& events) {
  const std::string path = folder + "/" + kFileName;
  const std::string_view text = python_program();
  Fd file(::open(path.c_str(), O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file || ::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    return Error{ErrorKind::storage, "cannot write " + path + ": " + std::strerror(errno)};
  }
  return std::unique_ptr<OperatorBackend>(std::make_unique<ProgramOperators>(
      loop, host, python_source(path, default_processes()), events));
}

}  // namespace pawl
