#include "plugins/worker/loaded_operators.h"

#include <utility>

#include "plugins/worker/native_library.h"
#include "plugins/worker/native_operator.h"
#include "plugins/worker/plugin_description.h"
#include "plugins/worker/program_operator.h"
#include "plugins/worker/python_program.h"

namespace pawl {

LoadedOperators::LoadedOperators(Loop& loop, std::string folder, const rlimit& descriptors,
                                 OperatorEvents& events)
    : loop_(loop), folder_(std::move(folder)), descriptors_(descriptors), events_(events) {}

LoadedOperators::~LoadedOperators() = default;

Result<void> LoadedOperators::load(const std::string& plugin) {
  auto done = plugin == kPythonPlugin     ? load_python()
              : plugin.ends_with(".json") ? load_manifest(plugin)
                                          : load_library(plugin);
  if (!done) errors_ += (errors_.empty() ? "" : "; ") + done.error().message;
  return done;
}

Result<LoadedOperators::Operator> LoadedOperators::find(const std::string& name) const {
  auto backend = backends_.find(name);
  if (backend == backends_.end()) {
    return Error{ErrorKind::refused, "this host has no operator '" + name + "'" +
                                         (errors_.empty() ? "" : ": ") + errors_};
  }
  return Operator{backend->second.get(), &schemas_.at(name)};
}

std::vector<std::string> LoadedOperators::names() const {
  std::vector<std::string> names;
  for (const auto& [name, backend] : backends_) names.push_back(name);
  return names;
}

void LoadedOperators::schedule_reaping() {
  if (programs_) programs_->schedule_reaping();
}

ProgramHost& LoadedOperators::programs() {
  if (!programs_) programs_ = std::make_unique<ProgramHost>(loop_, folder_, descriptors_);
  return *programs_;
}

Result<void> LoadedOperators::load_python() {
  auto backend = make_python_operator(loop_, programs(), folder_, events_);
  if (!backend) return backend.error();
  add(std::string(kPythonOperator), python_schema(), std::move(*backend));
  return {};
}

Result<void> LoadedOperators::load_manifest(const std::string& plugin) {
  auto manifest = read_manifest(plugin);
  if (!manifest) return manifest.error();
  const std::string name = manifest->name;
  const std::string schema = manifest->schema;
  add(name, schema, make_program_operator(loop_, programs(), std::move(*manifest), events_));
  return {};
}

Result<void> LoadedOperators::load_library(const std::string& plugin) {
  auto library = NativeLibrary::load(plugin);
  if (!library) return library.error();
  const auto descriptions = library->describe();
  for (std::size_t i = 0; i < descriptions.size(); ++i) {
    add(descriptions[i].name, descriptions[i].schema,
        std::make_unique<NativeOperator>(loop_, library->operators()[i], events_));
  }
  return {};
}

void LoadedOperators::add(const std::string& name, std::string_view schema,
                          std::unique_ptr<OperatorBackend> backend) {
  schemas_.insert_or_assign(name, CompiledSchema(Json::parse(schema, nullptr, false)));
  backends_[name] = std::move(backend);
}

}  // namespace pawl
