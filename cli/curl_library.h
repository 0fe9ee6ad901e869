#pragma once

// libcurl, loaded when a verb first asks a scheduler. It and what it stands on (TLS, Kerberos,
// LDAP, SSH) take 6 MB of memory, which an idle scheduler, its workers and verbs that only read do
// not need.

#include <curl/curl.h>

#include "scheduler/base/result.h"

namespace pawl {

/// libcurl's functions under their own names without `curl_`.
struct CurlLibrary {
  /// Loaded and made ready once; stays for as long as the process. Errors: failed, when the library
  /// or one of its functions is missing.
  static const Result<CurlLibrary>& load();

  decltype(&curl_global_init) global_init;
  decltype(&curl_easy_init) easy_init;
  decltype(&curl_easy_cleanup) easy_cleanup;
  decltype(&curl_easy_reset) easy_reset;
  decltype(&curl_easy_setopt) easy_setopt;
  decltype(&curl_easy_getinfo) easy_getinfo;
  decltype(&curl_easy_strerror) easy_strerror;
  decltype(&curl_slist_append) slist_append;
  decltype(&curl_slist_free_all) slist_free_all;
  decltype(&curl_multi_init) multi_init;
  decltype(&curl_multi_cleanup) multi_cleanup;
  decltype(&curl_multi_setopt) multi_setopt;
  decltype(&curl_multi_add_handle) multi_add_handle;
  decltype(&curl_multi_remove_handle) multi_remove_handle;
  decltype(&curl_multi_perform) multi_perform;
  decltype(&curl_multi_poll) multi_poll;
  decltype(&curl_multi_info_read) multi_info_read;
};

}  // namespace pawl
