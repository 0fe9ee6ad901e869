#include "scheduler/loop/work.h"

#include <memory>
#include <utility>

#include <uv.h>

#include "scheduler/loop/loop_impl.h"

namespace pawl {

/// One piece of work; owned by libuv from `start` until its end is reported.
struct Work::Impl {
  uv_work_t request{};
  std::function<void()> work;
  std::function<void()> done;
  Work* owner = nullptr;  ///< null when that is gone
};

Work::Work(Loop& loop) : loop_(loop) {}

Work::~Work() {
  if (impl_ == nullptr) return;
  impl_->owner = nullptr;
  uv_cancel(reinterpret_cast<uv_req_t*>(&impl_->request));
}

bool Work::start(std::function<void()> work, std::function<void()> done) {
  if (busy()) return false;
  impl_ = new Impl{.work = std::move(work), .done = std::move(done), .owner = this};
  impl_->request.data = impl_;
  const auto run = [](uv_work_t* request) { static_cast<Impl*>(request->data)->work(); };
  const auto after = [](uv_work_t* request, int) {
    const std::unique_ptr<Impl> impl(static_cast<Impl*>(request->data));
    if (impl->owner == nullptr) return;
    impl->owner->impl_ = nullptr;
    impl->done();
  };
  require_uv(uv_queue_work(loop_.handle(), &impl_->request, run, after), "start work");
  return true;
}

bool Work::busy() const { return impl_ != nullptr; }

void Works::start(std::function<void()> work, std::function<void()> done) {
  std::erase_if(works_, [](const auto& w) { return !w->busy(); });
  works_.push_back(std::make_unique<Work>(loop_));
  works_.back()->start(std::move(work), std::move(done));
}

}  // namespace pawl
