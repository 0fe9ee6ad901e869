#include "scheduler/loop/signal.h"

#include <utility>

#include <uv.h>

#include "scheduler/loop/loop_impl.h"

namespace pawl {

struct Signal::Impl {
  uv_signal_t handle;
  Loop& loop;
  std::function<void()> on_signal;
  bool dead = false;
};

Signal::Signal(Loop& loop, int number, std::function<void()> on_signal)
    : impl_(new Impl{.handle = {}, .loop = loop, .on_signal = std::move(on_signal)}) {
  require_uv(uv_signal_init(loop.handle(), &impl_->handle), "watch a signal");
  impl_->handle.data = impl_;
  const auto on_delivery = [](uv_signal_t* handle, int) {
    auto* impl = static_cast<Impl*>(handle->data);
    if (!impl->dead) impl->on_signal();
  };
  require_uv(uv_signal_start(&impl_->handle, on_delivery, number), "watch a signal");
  ++loop.impl().objects;
}

Signal::~Signal() {
  impl_->dead = true;
  --impl_->loop.impl().objects;
  uv_close(reinterpret_cast<uv_handle_t*>(&impl_->handle),
           [](uv_handle_t* handle) { delete static_cast<Impl*>(handle->data); });
}

}  // namespace pawl
