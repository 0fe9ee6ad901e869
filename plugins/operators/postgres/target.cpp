#include "plugins/operators/postgres/target.h"

#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <vector>

#include <libpq-fe.h>
#include <nlohmann/json.hpp>

namespace pawl::operators::postgres {

using nlohmann::json;

namespace {

constexpr std::size_t kNameBytesMax = 63;  // of an application_name; the server cuts longer ones
constexpr std::size_t kAddressesMax = 32;  // tried one after the other

struct FreeOptions {
  void operator()(PQconninfoOption* options) const { ::PQconninfoFree(options); }
};
using Options = std::unique_ptr<PQconninfoOption, FreeOptions>;

using Words = std::map<std::string, std::string>;

/// What libpq says of a wrong connection string may quote its password, so nobody gets to see it.
bool read_dsn(const std::string& dsn, Words& words) {
  char* message = nullptr;
  const Options options(::PQconninfoParse(dsn.c_str(), &message));
  ::PQfreemem(message);
  if (!options) return false;
  for (const PQconninfoOption* one = options.get(); one->keyword != nullptr; ++one) {
    if (one->val != nullptr) words[one->keyword] = one->val;
  }
  return true;
}

void read_variables(const plugin::Request& request, Words& words) {
  const Options options(::PQconndefaults());
  if (!options) return;
  for (const PQconninfoOption* one = options.get(); one->keyword != nullptr; ++one) {
    if (one->envvar == nullptr) continue;
    if (const auto value = request.variable(one->envvar)) {
      words.emplace(one->keyword, std::string(*value));
    }
  }
}

std::string name_of(const plugin::Request& request) {
  std::string name = "pawl ";
  name.append(request.job()).append("/").append(request.task());
  if (name.size() > kNameBytesMax) name.resize(kNameBytesMax);
  return name;
}

std::vector<std::string> split(const std::string& list) {
  std::vector<std::string> out(1);
  for (const char c : list) {
    if (c == ',') {
      out.emplace_back();
    } else {
      out.back() += c;
    }
  }
  return out;
}

bool is_name(const std::string& host) {
  return !host.empty() && host.front() != '/' && host.front() != '@';
}

/// As numbers; `why` when there are none.
std::vector<std::string> addresses_of(const std::string& host, std::string& why) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int code = ::getaddrinfo(host.c_str(), nullptr, &hints, &found);
  if (code != 0) {
    why = host + ": " + ::gai_strerror(code);
    return {};
  }
  std::vector<std::string> out;
  for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
    char text[NI_MAXHOST];
    if (::getnameinfo(one->ai_addr, one->ai_addrlen, text, sizeof(text), nullptr, 0,
                      NI_NUMERICHOST) == 0) {
      out.emplace_back(text);
    }
  }
  ::freeaddrinfo(found);
  return out;
}

}  // namespace

pawl::Result<Target> Target::of(const json& with, const plugin::Request& request) {
  Target target;
  Words& words = target.words_;
  if (with.contains("dsn") && !read_dsn(with.at("dsn").get<std::string>(), words)) {
    return Error{ErrorKind::invalid,
                 "dsn: no connection string; it looks like postgresql://user@host/dbname or "
                 "host=… dbname=…"};
  }
  for (const char* word : {"host", "port", "dbname", "user", "password", "sslmode"}) {
    const auto given = with.find(word);
    if (given == with.end()) continue;
    words[word] = given->is_string() ? given->get<std::string>() : given->dump();
    if (word == std::string_view("host")) words.erase("hostaddr");
  }
  for (const char* word : {"sslrootcert", "sslcert", "sslkey"}) {
    const auto given = with.find(word);
    if (given == with.end()) continue;
    const std::string path = given->get<std::string>();
    words[word] =
        path.front() == '/' ? path : std::string(request.working_dir()).append("/").append(path);
    // libpq goes on without a certificate that is missing, and takes the rest for a bad connection.
    if (::access(words[word].c_str(), R_OK) != 0) {
      const int error = errno;
      return Error{ErrorKind::invalid, std::string(word) + ": " + words[word] +
                                           " cannot be read: " + std::strerror(error)};
    }
  }
  read_variables(request, words);
  words.emplace("application_name", name_of(request));
  words["client_encoding"] = "UTF8";
  // Asking for a Kerberos ticket blocks; who needs it names it in the dsn.
  words.emplace("gssencmode", "disable");
  // A server that vanished without a word is noticed after two minutes instead of two hours.
  words.emplace("keepalives_idle", "60");
  words.emplace("keepalives_interval", "10");
  words.emplace("keepalives_count", "6");
  return target;
}

std::string Target::key() const {
  std::string key;
  for (const auto& [word, value] : words_) {
    if (word != "application_name") key.append(word).append(1, '\0').append(value).append(1, '\0');
  }
  return key;
}

bool Target::needs_addresses() const {
  const auto hosts = words_.find("host");
  if (hosts == words_.end() || words_.count("hostaddr") != 0) return false;
  for (const std::string& host : split(hosts->second)) {
    if (is_name(host)) return true;
  }
  return false;
}

pawl::Result<Target> Target::with_addresses() const {
  const std::vector<std::string> hosts = split(words_.at("host"));
  const auto given = words_.find("port");
  const std::vector<std::string> ports =
      given == words_.end() ? std::vector<std::string>{""} : split(given->second);
  std::string host_list;
  std::string address_list;
  std::string port_list;
  std::string why;
  std::size_t count = 0;
  for (std::size_t i = 0; i < hosts.size(); ++i) {
    const auto addresses =
        is_name(hosts[i]) ? addresses_of(hosts[i], why) : std::vector<std::string>{""};
    for (const std::string& address : addresses) {
      if (count == kAddressesMax) break;
      const char* comma = count++ == 0 ? "" : ",";
      host_list += comma + hosts[i];
      address_list += comma + address;
      port_list += comma + (ports.size() > i ? ports[i] : ports.back());
    }
  }
  if (count == 0) return Error{ErrorKind::failed, "no address for " + why};
  Target out = *this;
  out.words_["host"] = host_list;
  out.words_["hostaddr"] = address_list;
  out.words_["port"] = port_list;
  return out;
}

}  // namespace pawl::operators::postgres
