#include "scheduler/daemon/log.h"

#include <spdlog/async.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include "scheduler/base/text.h"

namespace pawl {
namespace {

constexpr std::size_t kQueuedLinesMax = 8192;

}  // namespace

struct Log::Impl {
  std::shared_ptr<spdlog::details::thread_pool> pool =
      std::make_shared<spdlog::details::thread_pool>(kQueuedLinesMax, 1);
  spdlog::async_logger logger{"pawl", std::make_shared<spdlog::sinks::stderr_color_sink_mt>(), pool,
                              spdlog::async_overflow_policy::overrun_oldest};
};

Log::Log() {
  // An error of a log must not end a scheduler.
  try {
    impl_ = std::make_unique<Impl>();
    impl_->logger.set_error_handler([](const std::string&) {});
    impl_->logger.set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %^%l%$ %v", spdlog::pattern_time_type::utc);
    impl_->logger.flush_on(spdlog::level::info);
  } catch (const std::exception&) {
    impl_.reset();
  }
}

Log::~Log() {
  if (impl_) impl_->logger.flush();
}

void Log::info(std::string_view text) {
  if (impl_) impl_->logger.info(escape_for_terminal(text));
}

void Log::warn(std::string_view text) {
  if (impl_) impl_->logger.warn(escape_for_terminal(text));
}

}  // namespace pawl
