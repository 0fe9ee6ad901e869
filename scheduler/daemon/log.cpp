#include "scheduler/daemon/log.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>

#include <spdlog/async.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>

#include "scheduler/base/text.h"

namespace pawl {
namespace {

constexpr std::size_t kQueuedLinesMax = 8192;
// What a pipe takes whole once it says that it takes anything.
constexpr std::size_t kPieceMax = 4096;
constexpr int kLookMs = 100;
constexpr int kLastWordsMs = 1000;

spdlog::level::level_enum level_of(Weight weight) {
  switch (weight) {
    case Weight::debug: return spdlog::level::debug;
    case Weight::info: return spdlog::level::info;
    case Weight::warning: return spdlog::level::warn;
  }
  return spdlog::level::info;
}

std::string_view colour_of(spdlog::level::level_enum level) {
  if (level >= spdlog::level::warn) return "\x1b[33m";
  return level == spdlog::level::info ? "\x1b[32m" : "\x1b[2m";
}

/// Writes to a descriptor whose reader may stand still: for ever while the program runs, for a
/// second at its end. On the thread of the log.
class DescriptorSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  DescriptorSink(int fd, bool colour) : fd_(fd), colour_(colour) {}

  void end() { is_ending_.store(true, std::memory_order_relaxed); }

 private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t text;
    formatter_->format(message, text);
    const std::string_view line(text.data(), text.size());
    if (!colour_ || message.color_range_end <= message.color_range_start) return write_all(line);
    std::string coloured(line.substr(0, message.color_range_start));
    coloured += colour_of(message.level);
    coloured +=
        line.substr(message.color_range_start, message.color_range_end - message.color_range_start);
    coloured += "\x1b[0m";
    coloured += line.substr(message.color_range_end);
    write_all(coloured);
  }
  void flush_() override {}

  void write_all(std::string_view text) {
    while (!text.empty() && wait_for_room()) {
      const ssize_t n = ::write(fd_, text.data(), std::min(text.size(), kPieceMax));
      if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
      if (n <= 0) return;
      text.remove_prefix(static_cast<std::size_t>(n));
    }
  }

  /// False when it is time to give up.
  bool wait_for_room() {
    while (true) {
      pollfd watched{.fd = fd_, .events = POLLOUT, .revents = 0};
      const int ready = ::poll(&watched, 1, patience_ms_ > 0 ? kLookMs : 0);
      if (ready > 0) return (watched.revents & POLLOUT) != 0;
      if (ready < 0 && errno != EINTR) return false;
      if (!is_ending_.load(std::memory_order_relaxed)) continue;
      patience_ms_ -= kLookMs;
      if (patience_ms_ <= 0) return false;
    }
  }

  const int fd_;
  const bool colour_;
  std::atomic<bool> is_ending_{false};
  int patience_ms_ = kLastWordsMs;
};

}  // namespace

struct Log::Impl {
  explicit Impl(const Options& options)
      : sink(std::make_shared<DescriptorSink>(options.fd, options.colour)) {
    logger.set_error_handler([](const std::string&) {});
    logger.set_level(level_of(options.least));
    logger.set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %^%l%$ %v", spdlog::pattern_time_type::utc);
  }

  void tell_drops() {
    const std::uint64_t dropped = pool->overrun_counter();
    std::uint64_t told = told_drops.load(std::memory_order_relaxed);
    // Said once there is room for it, and by one thread.
    if (dropped == told || pool->queue_size() > kQueuedLinesMax / 2) return;
    if (!told_drops.compare_exchange_strong(told, dropped)) return;
    logger.warn("{} lines of this log were dropped: nobody read them in time", dropped - told);
  }

  std::shared_ptr<DescriptorSink> sink;
  std::shared_ptr<spdlog::details::thread_pool> pool =
      std::make_shared<spdlog::details::thread_pool>(kQueuedLinesMax, 1);
  std::shared_ptr<spdlog::async_logger> shared_logger = std::make_shared<spdlog::async_logger>(
      "pawl", sink, pool, spdlog::async_overflow_policy::overrun_oldest);
  spdlog::async_logger& logger = *shared_logger;
  std::atomic<std::uint64_t> told_drops{0};
};

Log::Log(Options options) {
  // An error of a log must not end a scheduler.
  try {
    impl_ = std::make_unique<Impl>(options);
  } catch (const std::exception&) {
    impl_.reset();
  }
}

Log::~Log() {
  if (!impl_) return;
  impl_->tell_drops();
  impl_->sink->end();
  // Its thread writes what is queued and has ended then: no line is left that knows the logger.
  impl_->pool.reset();
}

void Log::line(Weight weight, std::string_view text) {
  if (!impl_ || !impl_->logger.should_log(level_of(weight))) return;
  impl_->tell_drops();
  impl_->logger.log(level_of(weight), escape_for_terminal(text));
}

std::uint64_t Log::dropped() const { return impl_ ? impl_->pool->overrun_counter() : 0; }

}  // namespace pawl
