#include "scheduler/loop/loop.h"

#include <cstdio>
#include <cstdlib>
#include <utility>

#include "scheduler/base/check.h"
#include "scheduler/loop/loop_impl.h"
#include "scheduler/loop/timer_queue.h"

namespace pawl {

void require_uv(int code, const char* what) {
  if (code >= 0) return;
  std::fprintf(stderr, "pawl: cannot %s: %s\n", what, uv_strerror(code));
  std::abort();
}

Loop::Impl::Impl() {
  require_uv(uv_loop_init(&uv), "make an event loop");
  require_uv(uv_loop_configure(&uv, UV_METRICS_IDLE_TIME), "measure an event loop");
  uv.data = this;
  uv_prepare_init(&uv, &prepare);
  uv_check_init(&uv, &check);
  uv_idle_init(&uv, &idle);
  prepare.data = check.data = idle.data = this;
  // What was deferred outside of a turn, or while handles closed, runs before the loop sleeps; what
  // callbacks defer runs after all of them.
  uv_prepare_start(&prepare, [](uv_prepare_t* handle) {
    auto* impl = static_cast<Impl*>(handle->data);
    impl->end_turn();
    if (impl->timers) impl->timers->arm();
  });
  uv_check_start(&check, [](uv_check_t* handle) {
    auto* impl = static_cast<Impl*>(handle->data);
    impl->turns.fetch_add(1, std::memory_order_relaxed);
    impl->end_turn();
  });
  uv_unref(reinterpret_cast<uv_handle_t*>(&prepare));
  uv_unref(reinterpret_cast<uv_handle_t*>(&check));
}

Loop::Impl::~Impl() {
  while (!deferred.empty() || !retired.empty()) end_turn();
  timers.reset();
  PAWL_CHECK(objects == 0);
  uv_close(reinterpret_cast<uv_handle_t*>(&prepare), nullptr);
  uv_close(reinterpret_cast<uv_handle_t*>(&check), nullptr);
  uv_close(reinterpret_cast<uv_handle_t*>(&idle), nullptr);
  uv_run(&uv, UV_RUN_DEFAULT);
  PAWL_CHECK(uv_loop_close(&uv) == 0);
}

void Loop::Impl::keep_turning() {
  if (uv_is_active(reinterpret_cast<uv_handle_t*>(&idle))) return;
  uv_idle_start(&idle, [](uv_idle_t*) {});
}

void Loop::Impl::end_turn() {
  if (deferred.empty() && retired.empty()) return;
  // Both are taken before the first call: an object that is retired by a deferred function may have
  // a deferral of its own in the next round, so it lives until that has run.
  const auto functions = std::exchange(deferred, {});
  auto objects_now = std::exchange(retired, {});
  for (const auto& fn : functions) fn();
  objects_now.clear();
  if (deferred.empty() && retired.empty()) uv_idle_stop(&idle);
}

Loop::Loop() : impl_(std::make_unique<Impl>()) {}
Loop::~Loop() { PAWL_CHECK(!impl_->running); }

void Loop::run() {
  while (!impl_->stopping && run_once(true)) {
  }
  impl_->stopping = false;
}

bool Loop::run_once(bool wait) {
  PAWL_CHECK(!impl_->running);
  impl_->running = true;
  const int alive = uv_run(&impl_->uv, wait ? UV_RUN_ONCE : UV_RUN_NOWAIT);
  impl_->running = false;
  return alive != 0;
}

void Loop::stop() { impl_->stopping = true; }

void Loop::defer(std::function<void()> fn) {
  impl_->deferred.push_back(std::move(fn));
  impl_->keep_turning();
}

void Loop::retire(std::unique_ptr<Retired> object) {
  impl_->retired.push_back(std::move(object));
  impl_->keep_turning();
}

Loop::Pulse Loop::pulse() const {
  const auto slept = std::chrono::nanoseconds(uv_metrics_idle_time(&impl_->uv));
  return {impl_->turns.load(std::memory_order_relaxed),
          std::chrono::duration_cast<Duration>(slept)};
}

uv_loop_s* Loop::handle() { return &impl_->uv; }

}  // namespace pawl
