#include "scheduler/daemon/http_conversation.h"

#include <memory>

#include "scheduler/base/text.h"
#include "scheduler/daemon/control.h"

namespace pawl {
namespace {

/// Of a body that is too long, this much is read and thrown away so that the client gets its
/// answer.
constexpr std::size_t kDroppedBytesMax = 4 * HttpServer::kBodyBytesMax;

/// libmicrohttpd takes the body over and frees it when it has been sent.
MHD_Response* make_response(std::string text) {
  auto* body = new std::string(std::move(text));
  return MHD_create_response_from_buffer_with_free_callback_cls(
      body->size(), body->data(), [](void* cls) { delete static_cast<std::string*>(cls); }, body);
}

}  // namespace

HttpConversation::HttpConversation(HttpServer::Impl& server, MHD_Connection* connection,
                                   ClientConnection* client, const char* method, const char* path)
    : server_(server), connection_(connection), client_(client) {
  request_.method = method;
  request_.path = path;
  server_.conversations.insert(this);
}

HttpConversation::~HttpConversation() {
  detach(true);
  server_.conversations.erase(this);
}

MHD_Result HttpConversation::refuse(int status, const Error& error) {
  return queue(status, error_body(error));
}

MHD_Result HttpConversation::refuse_length() {
  return refuse(MHD_HTTP_CONTENT_TOO_LARGE,
                Error{ErrorKind::invalid, "request too long: at most 16 MiB are read"});
}

MHD_Result HttpConversation::take_body(std::string_view bytes) {
  received_ += bytes.size();
  if (received_ > kDroppedBytesMax) return MHD_NO;
  if (received_ <= HttpServer::kBodyBytesMax) request_.body.append(bytes);
  return MHD_YES;
}

MHD_Result HttpConversation::received_whole() {
  if (gone_) return MHD_NO;
  if (whole_) return MHD_YES;
  whole_ = true;
  server_.owes_nothing(*client_);
  if (received_ > HttpServer::kBodyBytesMax) return refuse_length();
  if (server_.connections() > HttpServer::kConnectionsMax) {
    return refuse(MHD_HTTP_SERVICE_UNAVAILABLE,
                  Error{ErrorKind::refused, "too many clients: 256 are connected. Try again"});
  }
  if (!read_query() || !is_utf8(request_.path) || !is_utf8(request_.body)) {
    return refuse(MHD_HTTP_BAD_REQUEST, Error{ErrorKind::invalid, "request is not UTF-8"});
  }
  request_.uid = client_->peer.uid;
  request_.user = request_.uid == 0 ? server_.root_name : server_.own_name;
  // The handler must be free to do anything, destroying the server included, so it is not called
  // from inside libmicrohttpd.
  suspend();
  ++server_.to_hand_out;
  server_.loop.defer([this, server = &server_] {
    --server->to_hand_out;
    if (!server->dead) dispatch();
  });
  return MHD_YES;
}

bool HttpConversation::read_query() {
  struct Reading {
    HttpRequest& request;
    bool ok = true;
  } reading{request_};
  const auto take = [](void* cls, MHD_ValueKind, const char* key, size_t key_size,
                       const char* value, size_t value_size) {
    auto* into = static_cast<Reading*>(cls);
    const std::string_view name(key, key_size);
    const std::string_view text = value == nullptr ? "" : std::string_view(value, value_size);
    const auto good = [](std::string_view part) {
      return is_utf8(part) && part.find('\0') == std::string_view::npos;
    };
    into->ok = into->ok && good(name) && good(text);
    into->request.query.insert_or_assign(std::string(name), std::string(text));
    return MHD_YES;
  };
  MHD_get_connection_values_n(connection_, MHD_GET_ARGUMENT_KIND, take, &reading);
  return reading.ok;
}

void HttpConversation::dispatch() {
  auto exchange = std::make_shared<Responder::Exchange>();
  exchange->conversation = this;
  exchange_ = exchange.get();
  const HttpServer::Impl* server = &server_;
  server_.handler(std::move(request_), Responder(std::move(exchange)));
  // Answered or not, this conversation is only ever deleted from inside libmicrohttpd, or with the
  // server.
  if (server->dead) return;
  // Where reading has ended on this side, the other side's end cannot be told.
  if (suspended_ && !gone_ && server->takes_bytes) watch();
}

MHD_Result HttpConversation::queue(int status, std::string text) {
  whole_ = true;
  answered_ = true;
  MHD_Response* response = make_response(std::move(text));
  MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json");
  if (server_.connections() > HttpServer::kConnectionsMax) {
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
  }
  const MHD_Result queued =
      MHD_queue_response(connection_, static_cast<unsigned>(status), response);
  MHD_destroy_response(response);
  if (queued == MHD_NO) gone_ = true;
  return queued;
}

void HttpConversation::answer(int status, std::string text) {
  if (answered_ || gone_) return;
  queue(status, std::move(text));
  detach(false);
  resume();
}

void HttpConversation::abandoned() {
  const Error error = lost_answer();
  answer(http_status(error.kind), error_body(error));
}

void HttpConversation::detach(bool tell) {
  if (exchange_ == nullptr) return;
  exchange_->conversation = nullptr;
  auto on_gone = std::exchange(exchange_->on_gone, nullptr);
  exchange_ = nullptr;
  if (!tell || !on_gone || server_.dead) return;
  server_.loop.defer([on_gone = std::move(on_gone), server = &server_] {
    if (!server->dead) on_gone();
  });
}

void HttpConversation::suspend() {
  suspended_ = true;
  MHD_suspend_connection(connection_);
}

void HttpConversation::resume() {
  if (!std::exchange(suspended_, false)) return;
  close_watch_.reset();
  MHD_resume_connection(connection_);
  server_.run_soon();
}

void HttpConversation::watch() {
  close_watch_.emplace(server_.loop, client_->fd, [this](PollEvents) { client_left(); });
  close_watch_->watch({.readable = false, .writable = false, .closed = true});
}

void HttpConversation::client_left() {
  gone_ = true;
  detach(true);
  resume();
}

void HttpConversation::shut_down() {
  gone_ = true;
  detach(false);
  resume();
}

// --- the handler's side
// ------------------------------------------------------------------------------

Responder::Responder(std::shared_ptr<Exchange> exchange) : exchange_(std::move(exchange)) {}

void Responder::json(int status, std::string text) {
  if (auto* conversation = exchange_->conversation) conversation->answer(status, std::move(text));
}

bool Responder::gone() const { return exchange_->conversation == nullptr; }

void Responder::on_gone(std::function<void()> fn) {
  if (exchange_->conversation != nullptr) exchange_->on_gone = std::move(fn);
}

}  // namespace pawl
