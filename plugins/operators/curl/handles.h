#pragma once

// Owners of what libcurl hands out.

#include <memory>
#include <new>
#include <string>

#include <curl/curl.h>

namespace pawl::operators {

struct FreeEasy {
  void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
};
struct FreeMulti {
  void operator()(CURLM* handle) const { curl_multi_cleanup(handle); }
};
struct FreeUrl {
  void operator()(CURLU* handle) const { curl_url_cleanup(handle); }
};
struct FreeList {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
struct FreeMime {
  void operator()(curl_mime* mime) const { curl_mime_free(mime); }
};
struct FreeText {
  void operator()(char* text) const { curl_free(text); }
};

using EasyHandle = std::unique_ptr<CURL, FreeEasy>;
using MultiHandle = std::unique_ptr<CURLM, FreeMulti>;
using UrlHandle = std::unique_ptr<CURLU, FreeUrl>;
using MimeHandle = std::unique_ptr<curl_mime, FreeMime>;
using CurlText = std::unique_ptr<char, FreeText>;

/// Of a handle that libcurl made, or std::bad_alloc.
template <class Handle, class Raw>
Handle own(Raw* raw) {
  if (raw == nullptr) throw std::bad_alloc();
  return Handle(raw);
}

/// A list of texts as libcurl wants it.
class TextList {
 public:
  void add(const std::string& text) {
    curl_slist* longer = curl_slist_append(list_.get(), text.c_str());
    if (longer == nullptr) throw std::bad_alloc();
    static_cast<void>(list_.release());
    list_.reset(longer);
  }
  void clear() { list_.reset(); }
  curl_slist* get() const { return list_.get(); }
  /// Gives the list away.
  curl_slist* release() { return list_.release(); }

 private:
  std::unique_ptr<curl_slist, FreeList> list_;
};

}  // namespace pawl::operators
