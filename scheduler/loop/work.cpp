#include "scheduler/loop/work.h"

#include <algorithm>
#include <memory>
#include <utility>

#include <uv.h>

#include "scheduler/loop/loop_impl.h"

namespace pawl {
namespace {

// Each is a thread. Dead workers are looked after side by side, and a machine has as many as cores.
constexpr std::size_t kSlowMax = 32;

}  // namespace

/// One piece of work; its own owner from `start` until its end is reported.
struct Work::Impl {
  std::function<void()> work;
  std::function<void()> done;
  Work* owner = nullptr;  ///< null when that is gone
  Loop::Impl* loop = nullptr;
  uv_work_t request{};
  // Of slow work that has begun.
  bool has_begun = false;
  bool has_thread = false;
  uv_thread_t thread{};
  uv_async_t ended{};

  void queue(uv_after_work_cb after) {
    request.data = this;
    const auto run = [](uv_work_t* r) { static_cast<Impl*>(r->data)->work(); };
    require_uv(uv_queue_work(&loop->uv, &request, run, after), "start work");
  }

  /// Tells the owner, if there still is one.
  void report() {
    if (owner == nullptr) return;
    owner->impl_ = nullptr;
    done();
  }

  void begin_slow() {
    ++loop->slow_running;
    has_begun = true;
    ended.data = this;
    const auto on_end = [](uv_async_t* handle) { static_cast<Impl*>(handle->data)->end_slow(); };
    require_uv(uv_async_init(&loop->uv, &ended, on_end), "start work");
    const auto run = [](void* impl) {
      static_cast<Impl*>(impl)->work();
      uv_async_send(&static_cast<Impl*>(impl)->ended);
    };
    has_thread = uv_thread_create(&thread, run, this) == 0;
    // No more threads for this process: then on those that there are.
    if (!has_thread) queue([](uv_work_t* r, int) { static_cast<Impl*>(r->data)->end_slow(); });
  }

  void end_slow() {
    if (has_thread) uv_thread_join(&thread);
    --loop->slow_running;
    if (!loop->slow_waiting.empty()) {
      Impl* const next = loop->slow_waiting.front();
      loop->slow_waiting.pop_front();
      next->begin_slow();
    }
    uv_close(reinterpret_cast<uv_handle_t*>(&ended),
             [](uv_handle_t* handle) { delete static_cast<Impl*>(handle->data); });
    report();
  }
};

Work::Work(Loop& loop, Pace pace) : loop_(loop), pace_(pace) {}

Work::~Work() {
  if (impl_ == nullptr) return;
  impl_->owner = nullptr;
  if (pace_ == Pace::quick) {
    uv_cancel(reinterpret_cast<uv_req_t*>(&impl_->request));
  } else if (!impl_->has_begun) {
    std::erase(loop_.impl().slow_waiting, impl_);
    delete impl_;
  }
}

bool Work::start(std::function<void()> work, std::function<void()> done) {
  if (busy()) return false;
  Loop::Impl& loop = loop_.impl();
  impl_ = new Impl{.work = std::move(work), .done = std::move(done), .owner = this, .loop = &loop};
  if (pace_ == Pace::quick) {
    impl_->queue([](uv_work_t* request, int) {
      const std::unique_ptr<Impl> impl(static_cast<Impl*>(request->data));
      impl->report();
    });
  } else if (loop.slow_running < kSlowMax) {
    impl_->begin_slow();
  } else {
    loop.slow_waiting.push_back(impl_);
  }
  return true;
}

bool Work::busy() const { return impl_ != nullptr; }

void Works::start(std::function<void()> work, std::function<void()> done) {
  std::erase_if(works_, [](const auto& w) { return !w->busy(); });
  works_.push_back(std::make_unique<Work>(loop_));
  works_.back()->start(std::move(work), std::move(done));
}

}  // namespace pawl
