#include "plugins/operators/http/target.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <utility>

#include "plugins/operators/curl/handles.h"
#include "scheduler/base/text.h"

namespace pawl::operators {

using nlohmann::json;

namespace {

Error invalid(std::string message) { return {ErrorKind::invalid, std::move(message)}; }

bool is_token(std::string_view text) {
  static constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           kMarks.find(static_cast<char>(c)) != std::string_view::npos;
  });
}

std::string text_of(const json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

std::string text_or_empty(const json& object, const char* name) {
  return object.value(name, std::string());
}

std::string part(CURLU* url, CURLUPart which, unsigned flags = 0) {
  char* text = nullptr;
  if (curl_url_get(url, which, &text, flags) != CURLUE_OK) return {};
  const CurlText owned(text);
  return owned.get();
}

UrlHandle parse_url(const std::string& text) {
  UrlHandle url = own<UrlHandle>(curl_url());
  const unsigned flags = CURLU_ALLOW_SPACE | CURLU_URLENCODE;  // of spaces, and beyond ASCII
  if (curl_url_set(url.get(), CURLUPART_URL, text.c_str(), flags) != CURLUE_OK) return {};
  // It is never sent, but libcurl would refuse one that is not encoded.
  curl_url_set(url.get(), CURLUPART_FRAGMENT, nullptr, 0);
  return url;
}

bool is_plain(std::string_view text, std::string_view marks) {
  return std::all_of(text.begin(), text.end(), [marks](unsigned char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
           marks.find(static_cast<char>(c)) != std::string_view::npos;
  });
}

/// As forms are encoded: `+` is a space.
std::string form_encoded(std::string_view text) {
  static constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string out;
  for (const char& c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (is_plain({&c, 1}, "-._~ABCDEFGHIJKLMNOPQRSTUVWXYZ")) {
      out += c;
    } else if (c == ' ') {
      out += '+';
    } else {
      out += {'%', kDigits[byte >> 4], kDigits[byte & 15]};
    }
  }
  return out;
}

Result<void> add_query(CURLU* url, const std::string& name, const json& value) {
  const std::string text = text_of(value);
  if ((name + text).find('\0') != std::string::npos) return invalid("`query` holds a NUL");
  // libcurl's own encoding takes the first `=` for the end of the name.
  const std::string entry = form_encoded(name) + '=' + form_encoded(text);
  const CURLUcode code = curl_url_set(url, CURLUPART_QUERY, entry.c_str(), CURLU_APPENDQUERY);
  if (code != CURLUE_OK) return invalid("`query`: " + std::string(curl_url_strerror(code)));
  return {};
}

bool is_number(const std::string& host) {
  in_addr number{};
  return host.starts_with('[') || ::inet_pton(AF_INET, host.c_str(), &number) == 1;
}

void set_parts(HttpTarget& target, CURLU* url) {
  target.url = part(url, CURLUPART_URL, CURLU_URLENCODE);
  const std::string host = part(url, CURLUPART_HOST);
  target.name = is_number(host) ? std::string() : host;
}

/// `https://host/path` of an address in which secrets are hidden already: a part of one would be
/// left.
std::string without_credentials(std::string_view url) {
  url = url.substr(0, url.find_first_of("?#"));
  const std::size_t host = std::min(url.find_first_not_of(":/", url.find(':')), url.size());
  const std::string_view rest = url.substr(host);
  const std::size_t user_end = rest.substr(0, rest.find('/')).rfind('@') + 1;  // 0: there is none
  return std::string(url.substr(0, host)) + std::string(rest.substr(user_end));
}

const std::string& written(const HttpTarget& target) {
  return target.written.empty() ? target.url : target.written;
}

/// Fills in what is known of an address that is as libcurl would write it and has nothing secret:
/// `http://name:port/path?query` of plain characters. False: it may be anything. libcurl reads
/// every address itself before it connects; to have it read, printed and read again costs a fifth
/// of a small call.
bool read_plain_url(HttpTarget& target, const std::string& text) {
  const std::size_t scheme = text.starts_with("https://") ? 8 : text.starts_with("http://") ? 7 : 0;
  const std::size_t path = text.find('/', scheme);
  if (scheme == 0 || path == std::string::npos) return false;
  std::string_view host = std::string_view(text).substr(scheme, path - scheme);
  const std::string_view port = host.substr(std::min(host.find(':'), host.size()));
  host.remove_suffix(port.size());
  const bool has_name = !host.empty() && host.front() != '.' && is_plain(host, ".-");
  const bool has_port = port.size() >= 2 && port.size() <= 6 &&
                        port.find_first_not_of(":0123456789") == std::string_view::npos;
  if (!has_name || !(port.empty() || has_port)) return false;
  const std::string_view rest = std::string_view(text).substr(path);
  const std::size_t query = std::min(rest.find('?'), rest.size());
  const bool has_plain_query =
      query + 1 != rest.size() && is_plain(rest.substr(query), "?=&_-.~ABCDEFGHIJKLMNOPQRSTUVWXYZ");
  // `/.` may be a part of the path that is left out.
  if (!has_plain_query || !is_plain(rest.substr(0, query), "/_-.~ABCDEFGHIJKLMNOPQRSTUVWXYZ") ||
      rest.find("/.") != rest.npos) {
    return false;
  }
  target.url = text;
  target.name = host;
  if (is_number(target.name)) target.name.clear();
  return true;
}

Result<void> read_url(const json& parameters, HttpTarget& target) {
  const auto& text = parameters.at("url").get_ref<const std::string&>();
  if (!parameters.contains("query") && read_plain_url(target, text)) return {};
  if (breaks_line(text)) return invalid("`url` holds a line break or a NUL");
  target.written = text;
  const UrlHandle url = parse_url(text);
  if (url == nullptr) return invalid("`url` is not an address such as https://example.org/path");
  const std::string scheme = part(url.get(), CURLUPART_SCHEME);
  if (scheme != "http" && scheme != "https") {
    return invalid("`url` begins with " + scheme + "://, but only http and https are offered");
  }
  const auto query = parameters.find("query");
  if (query != parameters.end()) {
    for (const auto& [name, value] : query->items()) {
      const json list = value.is_array() ? value : json::array({value});
      for (const json& one : list) {
        if (auto added = add_query(url.get(), name, one); !added) return added.error();
      }
    }
  }
  set_parts(target, url.get());
  return {};
}

Result<std::vector<HttpHeader>> read_headers(const json& parameters) {
  std::vector<HttpHeader> out;
  const auto headers = parameters.find("headers");
  if (headers == parameters.end()) return out;
  for (const auto& [name, value] : headers->items()) {
    if (!is_token(name)) return invalid("`headers` has a name that cannot be one");
    std::string text = text_of(value);
    if (breaks_line(text)) {
      return invalid("`headers`: the value of " + name + " holds a line break or a NUL");
    }
    out.emplace_back(name, std::move(text));
  }
  return out;
}

void read_body(const json& parameters, HttpTarget& target) {
  const auto body = parameters.find("body");
  if (body == parameters.end()) return;
  target.has_body = true;
  target.body = text_of(*body);
  if (target.has_header("content-type")) return;
  target.headers.emplace_back("Content-Type",
                              body->is_string() ? "text/plain; charset=utf-8" : "application/json");
}

Result<void> read_auth(const json& parameters, HttpTarget& target) {
  const auto found = parameters.find("auth");
  if (found == parameters.end()) return {};
  HttpAuth auth;
  auth.user = text_or_empty(*found, "user");
  auth.password = text_or_empty(*found, "password");
  auth.token = text_or_empty(*found, "token");
  if (auth.user.empty() == auth.token.empty()) {
    return invalid("`auth` takes either `user` and `password`, or `token`");
  }
  if (breaks_line(auth.user + auth.password + auth.token)) {
    return invalid("`auth` holds a line break or a NUL");
  }
  target.auth = std::make_unique<HttpAuth>(std::move(auth));
  return {};
}

Result<void> read_tls(const json& parameters, const plugin::Request& request, HttpTarget& target) {
  const auto found = parameters.find("tls");
  if (found == parameters.end()) return {};
  HttpTls tls;
  tls.verify = found->value("verify", true);
  for (const auto& [name, file] :
       {std::pair("ca_file", &tls.ca_file), std::pair("certificate_file", &tls.certificate_file),
        std::pair("key_file", &tls.key_file)}) {
    auto path = read_path(*found, name, request);
    if (!path) return path.error();
    *file = std::move(*path);
  }
  tls.key_password = text_or_empty(*found, "key_password");
  target.tls = std::make_unique<HttpTls>(std::move(tls));
  return {};
}

/// libcurl takes one of another kind for a server that cannot be reached, which may be better
/// later.
bool is_proxy_offered(const std::string& url) {
  static constexpr std::array<std::string_view, 6> kKinds = {"http",   "https",   "socks4",
                                                             "socks5", "socks4a", "socks5h"};
  const std::size_t end = url.find("://");
  return end == std::string::npos ||
         std::find(kKinds.begin(), kKinds.end(), ascii_lower(url.substr(0, end))) != kKinds.end();
}

bool uses_tls(std::string_view url) { return url.starts_with("https:"); }

/// The variables that programs of the task would see, not those of this process.
Result<HttpProxy> proxy_of_variables(bool tls, const plugin::Request& request) {
  const auto variable = [&request](const std::string& name) {
    return std::string(request.variable(name).value_or(""));
  };
  // HTTP_PROXY in capitals is what a web server makes of a header `Proxy:`; nobody reads it.
  std::array<std::string, 4> names = {tls ? "https_proxy" : "http_proxy", tls ? "HTTPS_PROXY" : "",
                                      "all_proxy", "ALL_PROXY"};
  HttpProxy proxy;
  for (const std::string& name : names) {
    if (!proxy.url.empty() || name.empty()) continue;
    proxy.url = variable(name);
    if (!is_proxy_offered(proxy.url)) {
      return invalid(
          "the variable " + name +
          " names a proxy whose kind is not offered: http, https, socks5 and socks5h are");
    }
  }
  if (proxy.url.empty()) return proxy;
  proxy.exclude = variable("no_proxy");
  if (proxy.exclude.empty()) proxy.exclude = variable("NO_PROXY");
  return proxy;
}

Result<void> read_proxy(const json& parameters, const plugin::Request& request,
                        HttpTarget& target) {
  const auto named = parameters.find("proxy");
  target.names_proxy = named != parameters.end();
  auto proxy = target.names_proxy ? HttpProxy{named->get<std::string>(), ""}
                                  : proxy_of_variables(uses_tls(target.url), request);
  if (!proxy) return proxy.error();
  target.proxy = std::move(*proxy);
  return {};
}

}  // namespace

bool HttpTarget::has_header(std::string_view wanted) const {
  return std::any_of(headers.begin(), headers.end(), [&](const HttpHeader& header) {
    return ascii_lower(header.first) == ascii_lower(wanted);
  });
}

Result<HttpTarget> read_target(const json& parameters, const plugin::Request& request) {
  HttpTarget target;
  if (auto url = read_url(parameters, target); !url) return url.error();
  auto headers = read_headers(parameters);
  if (!headers) return headers.error();
  target.headers = std::move(*headers);
  read_body(parameters, target);
  target.method = parameters.value("method", target.has_body ? "POST" : "GET");
  if (auto auth = read_auth(parameters, target); !auth) return auth.error();
  if (auto tls = read_tls(parameters, request, target); !tls) return tls.error();
  if (auto proxy = read_proxy(parameters, request, target); !proxy) return proxy.error();
  auto timeout = read_duration(parameters, "connect_timeout", target.connect_timeout);
  if (!timeout) return timeout.error();
  target.connect_timeout = *timeout;
  target.max_redirects = parameters.value("max_redirects", target.max_redirects);
  return target;
}

Result<Duration> read_duration(const json& parameters, const char* name, Duration otherwise) {
  const auto found = parameters.find(name);
  if (found == parameters.end()) return otherwise;
  auto duration = parse_duration(found->get_ref<const std::string&>());
  if (!duration) return invalid('`' + std::string(name) + "`: " + duration.error().message);
  return *duration;
}

Result<std::string> read_path(const json& parameters, const char* name,
                              const plugin::Request& request) {
  std::string path = text_or_empty(parameters, name);
  if (path.find('\0') != std::string::npos) {
    return invalid("`" + std::string(name) + "`: no path has a zero byte");
  }
  if (path.empty() || path.starts_with('/')) return path;
  return std::string(request.working_dir()) + '/' + path;
}

std::string shown(const HttpTarget& target, const plugin::Attempt& attempt) {
  if (target.is_led_by_secret) {
    const UrlHandle url = parse_url(written(target));
    return attempt.hidden(part(url.get(), CURLUPART_SCHEME) + "://" +
                          part(url.get(), CURLUPART_HOST)) +
           "/…";
  }
  const std::string out = escape_for_terminal(without_credentials(attempt.hidden(written(target))));
  return target.url.find('?') == std::string::npos ? out : out + "?…";
}

bool set_url(HttpTarget& target, const std::string& url, const plugin::Attempt& attempt,
             const plugin::Request& request) {
  const UrlHandle parsed = parse_url(url);
  if (parsed == nullptr) return false;
  const std::string& before = written(target);
  target.is_led_by_secret = target.is_led_by_secret || attempt.hidden(before) != before;
  const bool used_tls = uses_tls(target.url);
  set_parts(target, parsed.get());
  target.written = url;
  if (target.names_proxy || uses_tls(target.url) == used_tls) return true;
  auto proxy = proxy_of_variables(!used_tls, request);
  if (!proxy) return false;
  target.proxy = std::move(*proxy);
  return true;
}

std::string resolve_url(const std::string& base, const std::string& reference) {
  const UrlHandle url = parse_url(base);
  const unsigned flags = CURLU_ALLOW_SPACE | CURLU_URLENCODE | CURLU_NON_SUPPORT_SCHEME;
  if (url == nullptr || reference.empty() ||
      curl_url_set(url.get(), CURLUPART_URL, reference.c_str(), flags) != CURLUE_OK) {
    return {};
  }
  return part(url.get(), CURLUPART_URL);
}

std::string origin_of(const std::string& text) {
  const UrlHandle url = own<UrlHandle>(curl_url());
  curl_url_set(url.get(), CURLUPART_URL, text.c_str(), CURLU_NON_SUPPORT_SCHEME);
  const std::string port = part(url.get(), CURLUPART_PORT);
  return part(url.get(), CURLUPART_SCHEME) + "://" + part(url.get(), CURLUPART_HOST) +
         (port.empty() ? "" : ':' + port);
}

bool same_origin(const std::string& one, const std::string& other) {
  const UrlHandle a = parse_url(one);
  const UrlHandle b = parse_url(other);
  if (a == nullptr || b == nullptr) return false;
  for (const CURLUPart which : {CURLUPART_SCHEME, CURLUPART_HOST, CURLUPART_PORT}) {
    const std::string left = part(a.get(), which, CURLU_DEFAULT_PORT);
    if (ascii_lower(left) != ascii_lower(part(b.get(), which, CURLU_DEFAULT_PORT))) return false;
  }
  return true;
}

}  // namespace pawl::operators
