#include "scheduler/loop/timer.h"

#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "scheduler/loop/clock.h"
#include "scheduler/loop/fd.h"
#include "scheduler/loop/loop_impl.h"
#include "scheduler/loop/poll.h"
#include "scheduler/loop/timer_queue.h"

namespace pawl {
namespace {

constexpr MonoTime kNever{std::numeric_limits<std::int64_t>::max()};

/// Year 2255: near the end of what the kernel's nanoseconds can tell.
constexpr std::int64_t kFarMs = 9'000'000'000'000;

/// 0 would disarm and negative times are refused, so both become the first nanosecond.
itimerspec absolute(std::int64_t ms) {
  ms = std::min(ms, kFarMs);
  itimerspec spec{};
  if (ms <= 0) {
    spec.it_value.tv_nsec = 1;
  } else {
    spec.it_value.tv_sec = ms / 1000;
    spec.it_value.tv_nsec = ms % 1000 * 1'000'000;
  }
  return spec;
}

Fd make_timerfd(clockid_t clock) {
  Fd fd(timerfd_create(clock, TFD_NONBLOCK | TFD_CLOEXEC));
  require_uv(fd ? 0 : -errno, "make a timer");
  return fd;
}

}  // namespace

struct Timer::Impl : Loop::Retired {
  Impl(Loop& loop_of, std::function<void()> callback)
      : loop(loop_of), on_fire(std::move(callback)) {}

  Loop& loop;
  std::function<void()> on_fire;
  std::optional<TimerQueue::Key> key;
};

TimerQueue::TimerQueue(Loop& loop)
    : fd_(make_timerfd(CLOCK_BOOTTIME)),
      poll_(loop, fd_.get(), [this](PollEvents) { fire(); }),
      armed_for_(kNever) {}

TimerQueue::Key TimerQueue::add(MonoTime when, Timer::Impl* timer) {
  const Key key{when, ++armings_};
  timers_.emplace(key, timer);
  // Watched only while there are timers, so that an idle queue lets the loop end.
  if (timers_.size() == 1) poll_.watch({.readable = true});
  return key;
}

void TimerQueue::remove(Key key) {
  timers_.erase(key);
  if (timers_.empty()) poll_.stop();
}

void TimerQueue::arm() {
  // One that fires too early is cheaper than one that is set anew whenever the first timer moves:
  // a timer of minutes that is pushed on with each request fires once in those minutes.
  if (timers_.empty() || timers_.begin()->first.first >= armed_for_) return;
  armed_for_ = timers_.begin()->first.first;
  const itimerspec spec = absolute(armed_for_.ms);
  timerfd_settime(fd_.get(), TFD_TIMER_ABSTIME, &spec, nullptr);
}

void TimerQueue::fire() {
  std::uint64_t expirations = 0;
  [[maybe_unused]] const auto n = ::read(fd_.get(), &expirations, sizeof expirations);
  armed_for_ = kNever;
  // What callbacks arm for now fires in the next turn, else a timer that is always late would never
  // let the loop turn.
  const MonoTime now = mono_now();
  std::vector<Key> due;
  for (auto it = timers_.begin(); it != timers_.end() && it->first.first <= now; ++it) {
    due.push_back(it->first);
  }
  for (const Key& key : due) {
    const auto it = timers_.find(key);
    if (it == timers_.end()) continue;  // cancelled by one that fired before
    Timer::Impl* timer = it->second;
    remove(key);
    timer->key.reset();
    timer->on_fire();
  }
}

Timer::Timer(Loop& loop, std::function<void()> on_fire)
    : impl_(new Impl(loop, std::move(on_fire))) {
  ++loop.impl().objects;
}

Timer::~Timer() {
  cancel();
  --impl_->loop.impl().objects;
  impl_->loop.retire(std::unique_ptr<Loop::Retired>(impl_));
}

void Timer::start_at(MonoTime when) {
  cancel();
  auto& queue = impl_->loop.impl().timers;
  if (!queue) queue = std::make_unique<TimerQueue>(impl_->loop);
  impl_->key = queue->add(when, impl_);
}

void Timer::start_after(Duration after) { start_at(mono_now() + after); }

void Timer::cancel() {
  if (!impl_->key) return;
  impl_->loop.impl().timers->remove(*impl_->key);
  impl_->key.reset();
}

bool Timer::armed() const { return impl_->key.has_value(); }

struct WallTimer::Impl : Loop::Retired {
  Impl(Loop& loop_of, std::function<void(Event)> callback)
      : loop(loop_of),
        on_event(std::move(callback)),
        fd(make_timerfd(CLOCK_REALTIME)),
        poll(loop_of, fd.get(), [this](PollEvents) { on_ready(); }) {
    set();
    poll.watch({.readable = true});
  }

  void set() {
    const itimerspec spec = absolute(when ? when->ms : kFarMs);
    const int flags = TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET;
    if (timerfd_settime(fd.get(), flags, &spec, nullptr) == 0 || errno != ECANCELED) return;
    // The clock was set since the last look, and this call has taken the notice of it away.
    timerfd_settime(fd.get(), flags, &spec, nullptr);
    loop.defer([this] {
      if (!dead) on_event(Event::stepped);
    });
  }

  void on_ready() {
    std::uint64_t expirations = 0;
    const auto n = ::read(fd.get(), &expirations, sizeof expirations);
    if (n < 0 && errno == ECANCELED) {
      set();
      on_event(Event::stepped);
    } else if (n > 0 && when && wall_now() >= *when) {
      when.reset();
      set();
      on_event(Event::due);
    } else if (n > 0) {
      set();  // the far end of the kernel's clock, or re-armed since it fired
    }
  }

  Loop& loop;
  std::function<void(Event)> on_event;
  std::optional<WallTime> when;
  bool dead = false;
  Fd fd;
  Poll poll;
};

WallTimer::WallTimer(Loop& loop, std::function<void(Event)> on_event)
    : impl_(new Impl(loop, std::move(on_event))) {}

WallTimer::~WallTimer() {
  impl_->dead = true;
  impl_->poll.stop();
  impl_->loop.retire(std::unique_ptr<Loop::Retired>(impl_));
}

void WallTimer::start_at(WallTime when) {
  impl_->when = when;
  impl_->set();
}

void WallTimer::cancel() {
  impl_->when.reset();
  impl_->set();
}

bool WallTimer::armed() const { return impl_->when.has_value(); }

}  // namespace pawl
