#include "plugins/worker/native_library.h"

#include <dlfcn.h>

#include <utility>

#include "plugins/worker/native_bytes.h"
#include "plugins/worker/plugin_description.h"
#include "scheduler/base/limits.h"

namespace pawl {

Result<NativeLibrary> NativeLibrary::load(const std::string& path) {
  const auto wrong = [&](const std::string& what) {
    return Error{ErrorKind::invalid, path + ": " + what};
  };
  if (auto done = check_is_file(path); !done) return done.error();
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    const char* why = dlerror();
    return Error{ErrorKind::invalid, why != nullptr ? why : path + ": cannot be loaded"};
  }
  void* symbol = dlsym(library, "pawl_plugin_v1");
  if (symbol == nullptr) return wrong("is no plugin: it does not export pawl_plugin_v1");
  const pawl_plugin* plugin = reinterpret_cast<const pawl_plugin* (*)()>(symbol)();
  if (plugin == nullptr) return wrong("pawl_plugin_v1 returned nothing");
  if (plugin->abi_version != PAWL_ABI_VERSION) {
    return wrong("speaks version " + std::to_string(plugin->abi_version) +
                 " of the operator interface, this pawl version " +
                 std::to_string(PAWL_ABI_VERSION) + ": build it anew");
  }
  if (!PAWL_HAS(plugin, operator_count)) return wrong("its table pawl_plugin is too short");
  NativeLibrary out;
  out.version_ = text_of(plugin->version, 128);
  for (std::size_t i = 0; i < plugin->operator_count; ++i) {
    const pawl_operator* one = plugin->operators[i];
    if (one == nullptr) {
      return wrong("its operator number " + std::to_string(i + 1) + " of " +
                   std::to_string(plugin->operator_count) + " is a null pointer");
    }
    if (!PAWL_HAS(one, cancel)) {
      return wrong("its operator number " + std::to_string(i + 1) +
                   " has a table that is too short");
    }
    if ((one->run == nullptr) == (one->start == nullptr)) {
      return wrong("operator " + text_of(one->name, 64) +
                   " must have exactly one of run and start");
    }
    if (one->start != nullptr && one->cancel == nullptr) {
      return wrong("operator " + text_of(one->name, 64) + " has start and no cancel");
    }
    out.operators_.push_back(one);
  }
  if (out.operators_.empty()) return wrong("has no operators");
  return out;
}

std::vector<OperatorDescription> NativeLibrary::describe() const {
  std::vector<OperatorDescription> all;
  for (const pawl_operator* one : operators_) {
    all.push_back({text_of(one->name, limits::kNameBytesMax),
                   text_of(one->summary, limits::kErrorMessageBytesMax),
                   std::string(view(one->schema))});
  }
  return all;
}

}  // namespace pawl
