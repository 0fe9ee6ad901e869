#include "plugins/operators/postgres/connection.h"

#include <new>
#include <utility>
#include <vector>

namespace pawl::operators::postgres {

namespace {

PGconn* start(const Target& target) {
  std::vector<const char*> keywords;
  std::vector<const char*> values;
  for (const auto& [word, value] : target.words()) {
    keywords.push_back(word.c_str());
    values.push_back(value.c_str());
  }
  keywords.push_back(nullptr);
  values.push_back(nullptr);
  PGconn* handle = ::PQconnectStartParams(keywords.data(), values.data(), 0);
  if (handle == nullptr) throw std::bad_alloc();
  return handle;
}

}  // namespace

Connection::Connection(plugin::Host host, const Target& target, std::string key)
    : handle_(start(target)),
      host_(host),
      key_(std::move(key)),
      application_name_(target.application_name()) {
  // Only verbose messages of a failed connection hold their SQLSTATE.
  ::PQsetErrorVerbosity(handle_, PQERRORS_VERBOSE);
  ::PQsetNoticeProcessor(
      handle_,
      [](void* self, const char* text) {
        const auto& call = static_cast<Connection*>(self)->on_notice_;
        if (call) call(text);
      },
      this);
}

Connection::~Connection() {
  watch_.reset();
  ::PQfinish(handle_);
}

void Connection::watch(int events, std::function<void(int events)> on_ready) {
  watch_.reset();
  watch_ =
      std::make_unique<plugin::FdWatch>(host_, ::PQsocket(handle_), events, std::move(on_ready));
}

void Connection::change(int events) {
  if (watch_) watch_->change(events);
}

Connection::Fed Connection::feed(int events) {
  if ((events & PAWL_READABLE) != 0 && ::PQconsumeInput(handle_) == 0) return Fed::lost;
  return (events & PAWL_WRITABLE) != 0 ? flush() : Fed::fine;
}

Connection::Fed Connection::flush() {
  const int left = ::PQflush(handle_);
  if (left < 0) return Fed::lost;
  change(left == 0 ? PAWL_READABLE : PAWL_READABLE | PAWL_WRITABLE);
  return Fed::fine;
}

}  // namespace pawl::operators::postgres
