#include "plugins/operators/curl/errors.h"

#include <utility>

namespace pawl::operators {

namespace {

struct Known {
  CURLcode code;
  std::string_view name;
  bool permanent;
};

// libcurl has some hundred codes; these are the ones that its HTTP and SMTP sides give.
constexpr Known kKnown[] = {
    {CURLE_UNSUPPORTED_PROTOCOL, "UnsupportedProtocol", true},
    {CURLE_URL_MALFORMAT, "InvalidUrl", true},
    {CURLE_COULDNT_RESOLVE_PROXY, "CouldntResolveProxy", false},
    {CURLE_COULDNT_RESOLVE_HOST, "CouldntResolveHost", false},
    {CURLE_COULDNT_CONNECT, "CouldntConnect", false},
    {CURLE_WEIRD_SERVER_REPLY, "UnexpectedReply", false},
    {CURLE_HTTP2, "Http2", false},
    {CURLE_HTTP2_STREAM, "Http2", false},
    {CURLE_PARTIAL_FILE, "PartialResponse", false},
    {CURLE_OPERATION_TIMEDOUT, "Timeout", false},
    {CURLE_SSL_CONNECT_ERROR, "TlsHandshake", false},
    {CURLE_PEER_FAILED_VERIFICATION, "TlsCertificate", true},
    {CURLE_SSL_CERTPROBLEM, "TlsFile", true},
    {CURLE_SSL_CACERT_BADFILE, "TlsFile", true},
    {CURLE_SSL_CIPHER, "TlsCipher", true},
    {CURLE_USE_SSL_FAILED, "TlsRefused", true},
    {CURLE_GOT_NOTHING, "EmptyReply", false},
    {CURLE_SEND_ERROR, "SendError", false},
    {CURLE_RECV_ERROR, "ReceiveError", false},
    {CURLE_BAD_CONTENT_ENCODING, "InvalidEncoding", false},
    {CURLE_LOGIN_DENIED, "LoginDenied", true},
    {CURLE_REMOTE_ACCESS_DENIED, "AccessDenied", true},
    {CURLE_READ_ERROR, "ReadError", true},
    {CURLE_PROXY, "ProxyError", false},
    {CURLE_OUT_OF_MEMORY, "OutOfMemory", false},
};

const Known* find(CURLcode code) {
  for (const Known& known : kKnown) {
    if (known.code == code) return &known;
  }
  return nullptr;
}

/// Of a transfer whose time was over before it had a connection, libcurl says that its name was not
/// found in time, also of one that had an address.
bool waited_in_vain(CURLcode code, std::string_view detail) {
  return code == CURLE_OPERATION_TIMEDOUT && detail.starts_with("Failed to resolve host");
}

}  // namespace

std::string_view class_of(CURLcode code) {
  const Known* known = find(code);
  return known == nullptr ? "TransferError" : known->name;
}

bool is_permanent(CURLcode code) {
  const Known* known = find(code);
  return known != nullptr && known->permanent;
}

plugin::Result transfer_failure(CURLcode code, const std::string& where, std::string_view detail) {
  if (waited_in_vain(code, detail)) {
    detail =
        "its time was over before a connection was free: as many as this process has descriptors "
        "for (ulimit -n) were in use, or the host had too much to do";
  }
  std::string message(detail.empty() ? std::string_view(curl_easy_strerror(code)) : detail);
  while (message.ends_with('\n') || message.ends_with('.')) message.pop_back();
  message += " (" + where + ')';
  std::string name(class_of(code));
  return is_permanent(code) ? plugin::Result::permanent(std::move(message), std::move(name))
                            : plugin::Result::failure(std::move(message), std::move(name));
}

plugin::Result parameter_failure(const std::string& message) {
  return plugin::Result::permanent(message, "InvalidParameter");
}

}  // namespace pawl::operators
