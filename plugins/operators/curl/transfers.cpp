#include "plugins/operators/curl/transfers.h"

#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace pawl::operators {

namespace {

// Handles that are kept for the next transfer: making one costs more than a small call.
constexpr std::size_t kIdleHandlesMax = 2'048;  // some 6 KiB each

// Descriptors that are not for connections: logs, libraries, other operators.
constexpr long kDescriptorsReserved = 256;
constexpr long kConnectionsMin = 16;
static_assert(kConnectionsMin <= kTransfersPerShard, "bounds of what a shard is promised");
constexpr long kConnectionsMax = 1'000'000;  ///< where no limit is set

/// What the shards of this process have been promised together. [loop]
long connections_promised = 0;

long descriptors_for_connections() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return kConnectionsMin;
  const auto allowed =
      static_cast<long>(std::min<rlim_t>(limit.rlim_cur, static_cast<rlim_t>(kConnectionsMax)));
  return std::max(allowed - kDescriptorsReserved, kConnectionsMin);
}

// libcurl remembers an address for 60 seconds.
constexpr auto kNameKnownFor = std::chrono::seconds(50);
constexpr std::size_t kNamesMax = 10'000;

int events_of(int what) {
  int events = 0;
  if (what == CURL_POLL_IN || what == CURL_POLL_INOUT) events |= PAWL_READABLE;
  if (what == CURL_POLL_OUT || what == CURL_POLL_INOUT) events |= PAWL_WRITABLE;
  return events;
}

}  // namespace

TransferShard::TransferShard(plugin::Host host, long connections_max)
    : host_(host), connections_max_(connections_max), multi_(own<MultiHandle>(curl_multi_init())) {
  CURLM* multi = multi_.get();
  curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, &TransferShard::on_socket);
  curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, this);
  curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, &TransferShard::on_timer);
  curl_multi_setopt(multi, CURLMOPT_TIMERDATA, this);
  curl_multi_setopt(multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, connections_max);
  curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, connections_max);
}

TransferShard::~TransferShard() = default;

void TransferShard::begin(Transfer& transfer) {
  if (may_look_up(transfer.name_)) {
    add(transfer);
  } else {
    wait(transfer);
  }
  ++in_flight_;
}

void TransferShard::wait(Transfer& transfer) {
  transfer.stage_ = Transfer::Stage::waiting;
  transfer.turn_ = ++last_turn_;
  waiting_.emplace(transfer.turn_, &transfer);
  waiting_of_.emplace(std::pair(transfer.name_, transfer.turn_), &transfer);
}

void TransferShard::stop_waiting(Transfer& transfer) {
  waiting_.erase(transfer.turn_);
  waiting_of_.erase({transfer.name_, transfer.turn_});
}

void TransferShard::add(Transfer& transfer) {
  CURL* handle = transfer.handle_;
  curl_easy_setopt(handle, CURLOPT_PRIVATE, static_cast<void*>(&transfer));
  curl_easy_setopt(handle, CURLOPT_PREREQDATA, &transfer);
  curl_easy_setopt(handle, CURLOPT_OPENSOCKETDATA, &transfer);
  curl_easy_setopt(handle, CURLOPT_CLOSESOCKETDATA, this);
  const CURLMcode code = curl_multi_add_handle(multi_.get(), handle);
  if (code != CURLM_OK) throw std::runtime_error(curl_multi_strerror(code));
  const bool looks_up = !transfer.name_.empty() && !is_known(transfer.name_);
  transfer.stage_ = looks_up ? Transfer::Stage::looking_up : Transfer::Stage::open;
  if (looks_up) ++lookups_;
}

void TransferShard::end(Transfer& transfer) {
  --in_flight_;
  switch (transfer.stage_) {
    case Transfer::Stage::waiting: return stop_waiting(transfer);
    case Transfer::Stage::looking_up: --lookups_; break;
    case Transfer::Stage::open: break;
  }
  std::erase(resting_, &transfer);
  curl_multi_remove_handle(multi_.get(), transfer.handle_);
}

bool TransferShard::is_known(const std::string& name) const {
  const auto found = known_.find(name);
  return found != known_.end() && found->second > Clock::now();
}

bool TransferShard::may_look_up(const std::string& name) const {
  return name.empty() || lookups_ < kLookupsPerShard || is_known(name);
}

/// Its name has become an address, or was not needed: a connection was free.
void TransferShard::found(Transfer& transfer) {
  if (transfer.stage_ != Transfer::Stage::looking_up) return;
  transfer.stage_ = Transfer::Stage::open;
  --lookups_;
  if (known_.size() >= kNamesMax) known_.clear();
  known_[transfer.name_] = Clock::now() + kNameKnownFor;
  if (next_of(transfer.name_) != nullptr) found_names_.push_back(transfer.name_);
}

/// The first that waits for that name; null: none does.
Transfer* TransferShard::next_of(const std::string& name) const {
  const auto found = waiting_of_.lower_bound({name, 0});
  return found != waiting_of_.end() && found->first.first == name ? found->second : nullptr;
}

/// Whoever's name has become known need not wait for those before it whose names have not.
Transfer* TransferShard::next_admissible() {
  for (; !found_names_.empty(); found_names_.pop_front()) {
    Transfer* next = next_of(found_names_.front());
    if (next != nullptr && is_known(next->name_)) return next;
  }
  if (waiting_.empty()) return nullptr;
  Transfer* first = waiting_.begin()->second;
  return may_look_up(first->name_) ? first : nullptr;
}

/// Not inside a call of libcurl's, which takes no transfer then.
void TransferShard::admit_waiting() {
  while (Transfer* transfer = next_admissible()) {
    stop_waiting(*transfer);
    try {
      add(*transfer);
    } catch (const std::exception&) {
      --in_flight_;
      transfer->shard_ = nullptr;
      transfer->on_done(CURLE_OUT_OF_MEMORY);
    }
  }
}

void TransferShard::set_up(CURL* handle) {
  curl_easy_setopt(handle, CURLOPT_PREREQFUNCTION, &TransferShard::on_connected);
  curl_easy_setopt(handle, CURLOPT_OPENSOCKETFUNCTION, &TransferShard::on_open);
  curl_easy_setopt(handle, CURLOPT_CLOSESOCKETFUNCTION, &TransferShard::on_close);
}

int TransferShard::on_connected(void* transfer, char*, char*, int, int) {
  auto* its = static_cast<Transfer*>(transfer);
  its->shard_->found(*its);
  return CURL_PREREQFUNC_OK;
}

curl_socket_t TransferShard::on_open(void* transfer, curlsocktype, curl_sockaddr* address) {
  auto* its = static_cast<Transfer*>(transfer);
  const int socket = ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
  if (socket < 0) return CURL_SOCKET_BAD;
  try {
    its->shard_->found(*its);
    its->shard_->sockets_[socket].is_connection = true;
  } catch (const std::exception&) {
    ::close(socket);
    return CURL_SOCKET_BAD;
  }
  return socket;
}

int TransferShard::on_close(void* self, curl_socket_t socket) {
  static_cast<TransferShard*>(self)->sockets_.erase(socket);
  return ::close(socket);
}

int TransferShard::on_socket(CURL*, curl_socket_t socket, int what, void* self, void*) {
  auto* shard = static_cast<TransferShard*>(self);
  if (what == CURL_POLL_REMOVE) {
    shard->release(socket);
    return 0;
  }
  try {
    shard->watch(socket, events_of(what));
  } catch (const std::exception&) {
    return -1;  // libcurl fails the transfers of this handle
  }
  return 0;
}

void TransferShard::watch(curl_socket_t socket, int events) {
  Socket& known = sockets_[socket];
  known.is_idle = false;
  if (known.watch == nullptr) {
    known.watch = std::make_unique<plugin::FdWatch>(
        host_, socket, events, [this, socket](int ready) { on_ready(socket, ready); });
  } else if (known.events != events) {
    known.watch->change(events);
  }
  known.events = events;
}

/// A connection that is kept stays watched: the next call will watch for the same, and to begin and
/// end that anew would cost more system calls than the call itself.
void TransferShard::release(curl_socket_t socket) {
  const auto found = sockets_.find(socket);
  if (found == sockets_.end()) return;
  if (found->second.is_connection) {
    found->second.is_idle = true;
  } else {
    sockets_.erase(found);  // of the resolver: closed without a word
  }
}

void TransferShard::on_ready(curl_socket_t socket, int ready) {
  Socket& known = sockets_.at(socket);
  if (known.is_idle) {
    // The other side closed it; libcurl sees that when it looks for a connection.
    known.watch->change(0);
    known.events = 0;
    return;
  }
  int mask = 0;
  if ((ready & PAWL_READABLE) != 0) mask |= CURL_CSELECT_IN;
  if ((ready & PAWL_WRITABLE) != 0) mask |= CURL_CSELECT_OUT;
  act(socket, mask);
}

int TransferShard::on_timer(CURLM*, long timeout_ms, void* self) {
  try {
    static_cast<TransferShard*>(self)->set_timer(timeout_ms);
  } catch (const std::exception&) {
    return -1;
  }
  return 0;
}

/// libcurl moves its one timer with nearly every step of a transfer. A timer that fires too early
/// is cheaper than one that is set anew each time.
void TransferShard::set_timer(long timeout_ms) {
  if (timeout_ms < 0) {
    wanted_ = Clock::time_point::max();
    return;
  }
  wanted_ = Clock::now() + std::chrono::milliseconds(timeout_ms);
  if (armed_ > wanted_) arm(wanted_);
}

void TransferShard::arm(Clock::time_point when) {
  const auto wait = std::chrono::ceil<std::chrono::milliseconds>(when - Clock::now());
  armed_ = when;
  timer_ = std::make_unique<plugin::TimeWatch>(host_, std::max(wait, std::chrono::milliseconds(0)),
                                               [this] {
                                                 timer_.reset();
                                                 armed_ = Clock::time_point::max();
                                                 if (wanted_ == Clock::time_point::max()) return;
                                                 if (wanted_ > Clock::now()) return arm(wanted_);
                                                 wanted_ = Clock::time_point::max();
                                                 act(CURL_SOCKET_TIMEOUT, 0);
                                               });
}

void TransferShard::act(curl_socket_t socket, int events) {
  bytes_of_turn_ = 0;
  int running = 0;
  curl_multi_socket_action(multi_.get(), socket, events, &running);
  report();
  admit_waiting();
}

bool TransferShard::may_take(Transfer& transfer, std::size_t bytes) {
  bytes_of_turn_ += bytes;
  if (bytes_of_turn_ <= kBytesPerTurn) return true;
  resting_.push_back(&transfer);
  go_on_later();
  return false;
}

void TransferShard::go_on_later() {
  if (later_ != nullptr) return;
  later_ = std::make_unique<plugin::TimeWatch>(host_, std::chrono::milliseconds(0), [this] {
    later_.reset();
    go_on();
  });
}

/// With the one that has rested longest. Others have turns of their own.
void TransferShard::go_on() {
  if (resting_.empty()) return;
  Transfer* transfer = resting_.front();
  resting_.pop_front();
  if (!resting_.empty()) go_on_later();
  bytes_of_turn_ = 0;
  // What its callback refuses here ends it, but libcurl does not report that.
  const CURLcode code = curl_easy_pause(transfer->handle_, CURLPAUSE_CONT);
  if (code != CURLE_OK) finish(*transfer, code);
  report();
  admit_waiting();
}

void TransferShard::report() {
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi_.get(), &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    const CURLcode code = message->data.result;  // gone once the handle is removed
    char* owner = nullptr;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &owner);
    finish(*reinterpret_cast<Transfer*>(owner), code);
  }
}

void TransferShard::finish(Transfer& transfer, CURLcode code) {
  end(transfer);
  transfer.shard_ = nullptr;
  transfer.on_done(code);
}

bool Transfer::may_take(std::size_t bytes) { return shard_->may_take(*this, bytes); }

Transfers::Transfers(plugin::Host host, SetUp set_up) : host_(host), set_up_(set_up) {
  const CURLcode code = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (code != CURLE_OK) throw std::runtime_error(curl_easy_strerror(code));
}

Transfers::~Transfers() {
  for (const auto& shard : shards_) connections_promised -= shard->connections_max();
  idle_.clear();
  shards_.clear();
  curl_global_cleanup();
}

TransferShard& Transfers::shard_with_room() {
  TransferShard* least = nullptr;
  for (const auto& shard : shards_) {
    // The first with room: connections that are kept are found again.
    if (shard->in_flight() < kTransfersPerShard) return *shard;
    if (least == nullptr || shard->in_flight() < least->in_flight()) least = shard.get();
  }
  const long left = descriptors_for_connections() - connections_promised;
  if (least != nullptr && left < kConnectionsMin) return *least;
  const long connections = std::clamp<long>(left, kConnectionsMin, kTransfersPerShard);
  shards_.push_back(std::make_unique<TransferShard>(host_, connections));
  connections_promised += connections;
  return *shards_.back();
}

void Transfers::begin(Transfer& transfer, CURL* handle, std::string name) {
  TransferShard& shard = shard_with_room();
  transfer.handle_ = handle;
  transfer.name_ = std::move(name);
  shard.begin(transfer);
  transfer.shard_ = &shard;
}

void Transfers::end(Transfer& transfer) {
  if (transfer.shard_ == nullptr) return;
  TransferShard* shard = std::exchange(transfer.shard_, nullptr);
  shard->end(transfer);
  shard->admit_waiting();
}

EasyHandle Transfers::take_handle() {
  if (idle_.empty()) {
    auto handle = own<EasyHandle>(curl_easy_init());
    renew(handle.get());
    return handle;
  }
  EasyHandle handle = std::move(idle_.back());
  idle_.pop_back();
  return handle;
}

void Transfers::give_handle(EasyHandle handle) {
  if (idle_.size() < kIdleHandlesMax) idle_.push_back(std::move(handle));
}

void Transfers::renew(CURL* handle) const {
  curl_easy_reset(handle);
  curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(handle, CURLOPT_NOPROGRESS, 1L);
  // Else a transfer that is ended while its name is looked up waits for the answer to that.
  curl_easy_setopt(handle, CURLOPT_QUICK_EXIT, 1L);
  TransferShard::set_up(handle);
  set_up_(handle);
}

}  // namespace pawl::operators
