#include "scheduler/loop/wakeup.h"

#include <utility>

#include <uv.h>

#include "scheduler/loop/loop_impl.h"

namespace pawl {

struct Wakeup::Impl {
  uv_async_t handle;
  Loop& loop;
  std::function<void()> on_wake;
  bool dead = false;
};

Wakeup::Wakeup(Loop& loop, std::function<void()> on_wake)
    : impl_(new Impl{.handle = {}, .loop = loop, .on_wake = std::move(on_wake)}) {
  const auto on_async = [](uv_async_t* handle) {
    auto* impl = static_cast<Impl*>(handle->data);
    if (!impl->dead) impl->on_wake();
  };
  require_uv(uv_async_init(loop.handle(), &impl_->handle, on_async), "make a wake-up");
  impl_->handle.data = impl_;
  ++loop.impl().objects;
}

Wakeup::~Wakeup() {
  impl_->dead = true;
  --impl_->loop.impl().objects;
  uv_close(reinterpret_cast<uv_handle_t*>(&impl_->handle),
           [](uv_handle_t* handle) { delete static_cast<Impl*>(handle->data); });
}

void Wakeup::wake() { uv_async_send(&impl_->handle); }

}  // namespace pawl
