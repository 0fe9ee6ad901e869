#pragma once

// Who follows a run: told how far it is when it has changed, at most so often, and for the last
// time when it has ended and that is durable. On the loop.

#include <cstdint>
#include <deque>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "scheduler/daemon/definition_reader.h"
#include "scheduler/daemon/pump.h"
#include "scheduler/daemon/request.h"
#include "scheduler/loop/loop.h"
#include "scheduler/loop/timer.h"

namespace pawl {

class Followers {
 public:
  Followers(Loop& loop, Pump& pump, Writer& writer, Epoch epoch);
  ~Followers() { *alive_ = false; }
  Followers(const Followers&) = delete;
  Followers& operator=(const Followers&) = delete;

  /// Answers when the run is at a later version than the one in the request, or after its time-out
  /// with what there is. Whoever leaves before that gives the place free.
  void follow(const std::string& run, const ControlRequest& request, ControlAnswer answer);

  /// Something changed: whoever follows it is told soon.
  void changed();
  void run_ended(RunId run);
  /// It may be opened again: what was its last word is not any more.
  void forget_ending(const std::string& run);

  std::size_t count() const { return waiting_.size(); }

 private:
  using Json = nlohmann::json;
  struct Follower {
    std::uint64_t ticket = 0;
    RunId run;
    std::string name;
    std::uint64_t version = 0;
    ControlAnswer answer;
    std::unique_ptr<Timer> timer;
  };

  struct Ended {
    RunId run;
    std::string name;
    std::string last;  ///< what was its last word
  };

  bool is_open(RunId run) const;
  void wait(RunId run, std::string name, std::uint64_t known, Duration patience,
            ControlAnswer answer);
  void timed_out(std::uint64_t ticket);
  void leave(std::uint64_t ticket);
  void tell();
  std::uint64_t version_of(RunId run) const;
  std::string progress(RunId run, bool ended) const;
  void answer_stored(const std::string& run, const ControlAnswer& answer);

  Loop& loop_;
  Pump& pump_;
  Writer& writer_;
  DefinitionReader definitions_;
  std::uint64_t first_version_;  ///< versions of this scheduler begin here
  std::unordered_map<RunId, std::uint64_t> versions_;
  std::uint64_t last_ticket_ = 0;
  std::list<Follower> waiting_;
  Timer tell_timer_;
  std::deque<Ended> ended_;  ///< lately
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace pawl
