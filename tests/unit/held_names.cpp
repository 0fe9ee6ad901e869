#include "tests/unit/held_names.h"

#include <dlfcn.h>
#include <netdb.h>

#include <string_view>

namespace pawl::test {

HeldNames& held_names() {
  static auto* const kOne = new HeldNames;
  return *kOne;
}

}  // namespace pawl::test

/// In place of the system's, for libcurl too.
extern "C" __attribute__((visibility("default"))) int getaddrinfo(const char* name,
                                                                  const char* service,
                                                                  const addrinfo* hints,
                                                                  addrinfo** found) {
  static const auto kReal =
      reinterpret_cast<decltype(&getaddrinfo)>(::dlsym(RTLD_NEXT, "getaddrinfo"));
  const bool is_held = name != nullptr && std::string_view(name).ends_with(".held");
  if (is_held) pawl::test::held_names().wait_for(name);
  return kReal(is_held ? "127.0.0.1" : name, service, hints, found);
}
