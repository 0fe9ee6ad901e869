#pragma once

// libcurl's transfers on the loop of a host: any number at once, none of them a thread. Connections
// are kept and used again. All of it on the loop thread.

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "pawl/operator.hpp"
#include "plugins/operators/curl/handles.h"

namespace pawl::operators {

/// Transfers of one multi handle. A handle looks through its connections for one that is free, so
/// its rate falls with their number: one with 2,000 takes three times as long as 32 with 64 each.
inline constexpr int kTransfersPerShard = 64;

/// Names that a shard may be looking up at once: libcurl takes a thread for each, and thousands of
/// calls of one host would all look it up, since none knows yet what the others will learn.
inline constexpr int kLookupsPerShard = 4;

/// What the transfers of a shard take in one turn of the loop, unpacked. libcurl reads on as long
/// as there is something to read, up to a hundred times, and a small piece may unpack to a lot.
inline constexpr std::size_t kBytesPerTurn = 1u << 20;

/// What libcurl keeps of a transfer that rests until a later turn: what it has read and unpacked,
/// and nobody has taken. A transfer of which that is more fails (CURLE_OUT_OF_MEMORY).
inline constexpr std::size_t kUnpackedBytesMax = 64u << 20;

/// One transfer: a configured handle, and whom to tell. Must be ended before it goes.
class Transfer {
 public:
  Transfer() = default;
  virtual ~Transfer() = default;
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;

  /// The transfer is over and ended; the handle may be used again, and the transfer destroyed.
  virtual void on_done(CURLcode code) = 0;

 protected:
  /// For the callback that takes data. False: this turn of the loop has taken enough, and the
  /// callback answers CURL_WRITEFUNC_PAUSE. It is called again with the same data in a later turn.
  bool may_take(std::size_t bytes);

 private:
  friend class TransferShard;
  friend class Transfers;
  enum class Stage { waiting, looking_up, open };
  CURL* handle_ = nullptr;
  class TransferShard* shard_ = nullptr;
  std::string name_;  ///< that must be looked up; empty: none
  Stage stage_ = Stage::open;
  std::uint64_t turn_ = 0;  ///< among those that wait
};

/// One multi handle of libcurl and what its sockets and its clock need of the loop.
class TransferShard {
 public:
  TransferShard(plugin::Host host, long connections_max);
  ~TransferShard();
  TransferShard(const TransferShard&) = delete;
  TransferShard& operator=(const TransferShard&) = delete;

  /// Those that wait for others to look up a name included.
  int in_flight() const { return in_flight_; }
  long connections_max() const { return connections_max_; }
  void begin(Transfer& transfer);
  void end(Transfer& transfer);
  /// Begins those that waited, as far as they may now.
  void admit_waiting();
  bool may_take(Transfer& transfer, std::size_t bytes);
  /// What every handle needs, once.
  static void set_up(CURL* handle);

 private:
  using Clock = std::chrono::steady_clock;

  struct Socket {
    std::unique_ptr<plugin::FdWatch> watch;  ///< null: not watched yet
    int events = 0;
    bool is_connection = false;  ///< we opened it and hear when it is closed
    bool is_idle = false;        ///< no transfer uses it now
  };

  void add(Transfer& transfer);
  void wait(Transfer& transfer);
  void stop_waiting(Transfer& transfer);
  Transfer* next_of(const std::string& name) const;
  Transfer* next_admissible();
  bool may_look_up(const std::string& name) const;
  bool is_known(const std::string& name) const;
  void found(Transfer& transfer);

  static int on_connected(void* transfer, char*, char*, int, int);
  static curl_socket_t on_open(void* transfer, curlsocktype, curl_sockaddr* address);
  static int on_close(void* self, curl_socket_t socket);
  static int on_socket(CURL*, curl_socket_t socket, int what, void* self, void*);
  static int on_timer(CURLM*, long timeout_ms, void* self);
  void watch(curl_socket_t socket, int events);
  void release(curl_socket_t socket);
  void on_ready(curl_socket_t socket, int ready);
  void set_timer(long timeout_ms);
  void arm(Clock::time_point when);
  void act(curl_socket_t socket, int events);
  void go_on_later();
  void go_on();
  void report();
  void finish(Transfer& transfer, CURLcode code);

  plugin::Host host_;
  const long connections_max_;
  std::unordered_map<curl_socket_t, Socket> sockets_;
  std::unique_ptr<plugin::TimeWatch> timer_;
  Clock::time_point wanted_ = Clock::time_point::max();  ///< when libcurl wants to be called
  Clock::time_point armed_ = Clock::time_point::max();   ///< when `timer_` fires, never later
  std::size_t bytes_of_turn_ = 0;                        ///< that were taken
  std::deque<Transfer*> resting_;                        ///< until a later turn
  std::unique_ptr<plugin::TimeWatch> later_;             ///< for the first of them
  int in_flight_ = 0;
  int lookups_ = 0;
  std::map<std::uint64_t, Transfer*> waiting_;  ///< for a name, by their turn
  std::map<std::pair<std::string, std::uint64_t>, Transfer*> waiting_of_;  ///< the same, by name
  std::uint64_t last_turn_ = 0;
  std::deque<std::string> found_names_;                       ///< for which some wait
  std::unordered_map<std::string, Clock::time_point> known_;  ///< names in libcurl's memory, until
  MultiHandle multi_;  // last: what it calls when it goes is still there
};

/// Transfers over as many multi handles as their number asks for.
class Transfers {
 public:
  /// What all transfers have in common, set once for each handle.
  using SetUp = void (*)(CURL* handle);

  /// Connections stay within the process's limit of descriptors, those of all other objects of this
  /// class included; transfers beyond wait for one.
  Transfers(plugin::Host host, SetUp set_up);
  ~Transfers();

  /// Begins `transfer` with `handle`, whose options are set, but for CURLOPT_PRIVATE. `on_done` is
  /// called later, once, unless it is ended before. `name` is what must be looked up for it; empty
  /// when the address is one of numbers.
  void begin(Transfer& transfer, CURL* handle, std::string name);
  /// Ends it without a word. Also for one that is over.
  void end(Transfer& transfer);

  /// A handle as `set_up` leaves it.
  EasyHandle take_handle();
  /// Gives a handle back that is again as it was taken, for the next transfer.
  void give_handle(EasyHandle handle);
  /// Makes any handle so. To set a few options back is far cheaper.
  void renew(CURL* handle) const;

 private:
  TransferShard& shard_with_room();

  plugin::Host host_;
  SetUp set_up_;
  std::vector<std::unique_ptr<TransferShard>> shards_;
  std::vector<EasyHandle> idle_;
};

}  // namespace pawl::operators
