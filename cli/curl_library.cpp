#include "cli/curl_library.h"

#include <dlfcn.h>

#include <string>

namespace pawl {
namespace {

// The name of its interface, the same since 2006.
constexpr const char* kFile = "libcurl.so.4";

Error missing(const char* why) {
  return Error{ErrorKind::failed, std::string("cannot talk to the scheduler: ") + why +
                                      ". Install the package libcurl4"};
}

Result<CurlLibrary> load_library() {
  void* library = dlopen(kFile, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return missing(dlerror());
  CurlLibrary curl{};
  const char* lost = nullptr;
  auto find = [&](auto& function, const char* name) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(library, name));
    if (function == nullptr) lost = name;
  };
  find(curl.global_init, "curl_global_init");
  find(curl.easy_init, "curl_easy_init");
  find(curl.easy_cleanup, "curl_easy_cleanup");
  find(curl.easy_reset, "curl_easy_reset");
  find(curl.easy_setopt, "curl_easy_setopt");
  find(curl.easy_getinfo, "curl_easy_getinfo");
  find(curl.easy_strerror, "curl_easy_strerror");
  find(curl.slist_append, "curl_slist_append");
  find(curl.slist_free_all, "curl_slist_free_all");
  find(curl.multi_init, "curl_multi_init");
  find(curl.multi_cleanup, "curl_multi_cleanup");
  find(curl.multi_setopt, "curl_multi_setopt");
  find(curl.multi_add_handle, "curl_multi_add_handle");
  find(curl.multi_remove_handle, "curl_multi_remove_handle");
  find(curl.multi_perform, "curl_multi_perform");
  find(curl.multi_poll, "curl_multi_poll");
  find(curl.multi_info_read, "curl_multi_info_read");
  if (lost != nullptr) return missing((std::string(kFile) + " has no " + lost).c_str());
  curl.global_init(CURL_GLOBAL_DEFAULT);
  return curl;
}

}  // namespace

const Result<CurlLibrary>& CurlLibrary::load() {
  static const Result<CurlLibrary> kLibrary = load_library();
  return kLibrary;
}

}  // namespace pawl
