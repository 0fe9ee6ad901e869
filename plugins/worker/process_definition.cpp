#include "plugins/worker/process_definition.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "plugins/worker/log_file.h"
#include "plugins/worker/login.h"
#include "scheduler/loop/fd.h"

namespace pawl {

ProcessDefinition::~ProcessDefinition() {
  if (!script_file.empty()) ::unlink(script_file.c_str());
}

ProcessDefinitions::ProcessDefinitions(std::string scripts)
    : scripts_(std::move(scripts)), login_defaults_(login_defaults()) {}

std::shared_ptr<const ProcessDefinition> ProcessDefinitions::find(DefinitionId id) const {
  auto at = definitions_.find(id);
  return at == definitions_.end() ? nullptr : at->second;
}

void ProcessDefinitions::add(const frame::Define& define) {
  auto made = std::make_shared<ProcessDefinition>();
  if (auto done = compile(define.bytes, *made); !done) {
    made->error = done.error().message;
    made->reason = done.error().kind == ErrorKind::invalid ? Reason::template_ : Reason::spawn;
  }
  definitions_[define.definition] = std::move(made);
}

Result<void> ProcessDefinitions::compile(const std::string& bytes, ProcessDefinition& made) {
  auto decoded = decode_definition(bytes);
  if (!decoded) return Error{ErrorKind::refused, decoded.error().message};
  if (decoded->operator_name != "process") {
    return Error{ErrorKind::refused, "operator '" + decoded->operator_name + "' is no program"};
  }
  auto compiled = CompiledDefinition::compile(std::move(*decoded), login_defaults_);
  if (!compiled) return compiled.error();
  made.compiled = std::move(*compiled);
  return made.compiled->script() ? write_script(made) : Result<void>{};
}

Result<void> ProcessDefinitions::write_script(ProcessDefinition& made) {
  // Named after the task, because shells begin their messages with it.
  const std::string& task = made.compiled->definition().task;
  if (task.find('/') != std::string::npos) {
    return Error{ErrorKind::refused, "task '" + task + "' is no name of a task"};
  }
  std::string path = scripts_ + "/" + std::to_string(++last_script_) + "-" + task;
  Fd file;
  if (make_folders_of(path)) {
    file.reset(::open(path.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0500));
  }
  const std::string& text = *made.compiled->script();
  if (!file || ::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    return Error{ErrorKind::storage,
                 "cannot write the script to " + path + ": " + std::strerror(errno)};
  }
  made.script_file = std::move(path);
  return {};
}

}  // namespace pawl
