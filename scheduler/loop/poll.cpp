#include "scheduler/loop/poll.h"

#include <utility>

#include <uv.h>

#include "scheduler/loop/loop_impl.h"

namespace pawl {

struct Poll::Impl {
  uv_poll_t handle;
  Loop& loop;
  OnReady on_ready;
  bool dead = false;
};

namespace {

void on_poll(uv_poll_t* handle, int status, int events) {
  auto* impl = static_cast<Poll::Impl*>(handle->data);
  if (impl->dead) return;
  // A negative status: libuv has stopped watching because the descriptor is in error.
  const bool broken = status < 0;
  impl->on_ready(PollEvents{.readable = broken || (events & UV_READABLE) != 0,
                            .writable = broken || (events & UV_WRITABLE) != 0,
                            .closed = broken || (events & UV_DISCONNECT) != 0});
}

}  // namespace

Poll::Poll(Loop& loop, int fd, OnReady on_ready)
    : impl_(new Impl{.handle = {}, .loop = loop, .on_ready = std::move(on_ready)}) {
  require_uv(uv_poll_init(loop.handle(), &impl_->handle, fd), "watch a descriptor");
  impl_->handle.data = impl_;
  ++loop.impl().objects;
}

Poll::~Poll() {
  impl_->dead = true;
  --impl_->loop.impl().objects;
  uv_poll_stop(&impl_->handle);
  uv_close(reinterpret_cast<uv_handle_t*>(&impl_->handle),
           [](uv_handle_t* handle) { delete static_cast<Impl*>(handle->data); });
}

void Poll::watch(PollEvents events) {
  const int mask = (events.readable ? UV_READABLE : 0) | (events.writable ? UV_WRITABLE : 0) |
                   (events.closed ? UV_DISCONNECT : 0);
  if (mask == 0) {
    stop();
    return;
  }
  require_uv(uv_poll_start(&impl_->handle, mask, on_poll), "watch a descriptor");
}

void Poll::stop() { uv_poll_stop(&impl_->handle); }

void Poll::unref() { uv_unref(reinterpret_cast<uv_handle_t*>(&impl_->handle)); }
void Poll::ref() { uv_ref(reinterpret_cast<uv_handle_t*>(&impl_->handle)); }

}  // namespace pawl
