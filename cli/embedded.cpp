// The verb that is the scheduler for as long as it needs.

#include <algorithm>
#include <charconv>
#include <csignal>
#include <map>
#include <mutex>
#include <optional>

#include <fmt/format.h>

#include "cli/job_source.h"
#include "cli/port.h"
#include "cli/program.h"
#include "scheduler/base/text.h"
#include "scheduler/daemon/control.h"
#include "scheduler/daemon/service.h"
#include "scheduler/loop/signal.h"
#include "scheduler/loop/timer.h"

namespace pawl {

namespace {

/// `%41` as `A`.
std::string decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    unsigned code = 0;
    if (text[i] == '%' && i + 2 < text.size() &&
        std::from_chars(text.data() + i + 1, text.data() + i + 3, code, 16).ptr ==
            text.data() + i + 3) {
      out += static_cast<char>(code);
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

/// The request that the socket's server would make of this.
ControlRequest request_of(std::string_view method, std::string_view path, const std::string& body) {
  ControlRequest request;
  request.method = method;
  request.body = body;
  request.actor = user_name();
  const std::size_t question = std::min(path.find('?'), path.size());
  request.path = decoded(path.substr(0, question));
  std::string_view rest = path.substr(std::min(question + 1, path.size()));
  while (!rest.empty()) {
    const std::string_view pair = rest.substr(0, rest.find('&'));
    const std::size_t equals = std::min(pair.find('='), pair.size());
    request.query[decoded(pair.substr(0, equals))] =
        decoded(pair.substr(std::min(equals + 1, pair.size())));
    rest.remove_prefix(std::min(pair.size() + 1, rest.size()));
  }
  return request;
}

/// While it lives, nothing that is printed waits for its reader.
class Printing {
 public:
  explicit Printing(const Session& session) : session_(session) {
    if (session_.err.outlet != nullptr) session_.err.outlet->start();
  }
  ~Printing() {
    tell_left_out();
    if (session_.err.outlet != nullptr) session_.err.outlet->finish();
  }
  Printing(const Printing&) = delete;
  Printing& operator=(const Printing&) = delete;

  /// From any thread. Of a reader who takes nothing the later notices are counted.
  void notice(const std::string& text) {
    const std::lock_guard lock(mutex_);
    if (session_.err.unread() > Outlet::kUnreadBytesMax) {
      ++left_out_;
      return;
    }
    tell_left_out();
    session_.notice(text);
  }

 private:
  void tell_left_out() {
    if (left_out_ == 0) return;
    session_.notice(counted(left_out_, "notice was", "notices were") +
                    " left out: nobody read them in time");
    left_out_ = 0;
  }

  Session session_;
  std::mutex mutex_;
  std::int64_t left_out_ = 0;
};

class EmbeddedPort final : public Port {
 public:
  EmbeddedPort(const Session& session, std::unique_ptr<Printing> printing,
               std::unique_ptr<Service> service)
      : session_(session), printing_(std::move(printing)), service_(std::move(service)) {}

  Result<Reply> call(std::string_view method, std::string_view path, const std::string& json_body,
                     Duration) override {
    if (ended_) {
      was_taken_ = false;
      return *ended_;
    }
    // The answer may come when nobody waits for it any more.
    auto answer = std::make_shared<std::optional<Reply>>();
    service_->call(request_of(method, path, json_body), [answer](int status, std::string body) {
      *answer = Reply{status, std::move(body)};
    });
    was_taken_ = true;
    while (!*answer) {
      if (service_->turn()) continue;
      end();  // which answers what it can
      if (!*answer) return *ended_;
    }
    // It goes because of something, which says more than that it goes.
    if ((*answer)->status == kStatusNoScheduler) {
      if (!ended_) end();
      return Error{ended_->kind, error_from((*answer)->status, (*answer)->body).message};
    }
    if ((*answer)->status != kStatusNotTaken) return **answer;
    was_taken_ = false;
    return *ended_;
  }

  bool was_taken() const override { return was_taken_; }
  bool is_scheduler() const override { return true; }

  Result<void> turn_for(Duration moment) override {
    if (ended_) return *ended_;
    bool is_over = false;
    Timer timer(service_->loop(), [&is_over] { is_over = true; });
    timer.start_after(moment);
    while (!is_over) {
      if (!service_->turn()) return failure();
    }
    return {};
  }

  Result<void> see_others_through() override {
    if (ended_) return {};
    bool leaves = false;
    const auto leave = [&leaves] { leaves = true; };
    Signal interrupt(service_->loop(), SIGINT, leave);
    Signal terminate(service_->loop(), SIGTERM, leave);
    Signal hang_up(service_->loop(), SIGHUP, leave);
    if (service_->active_runs() > 0) {
      session_.notice(fmt::format("staying for {} that others handed over",
                                  counted(service_->active_runs(), "run")));
    }
    while (!leaves && service_->active_runs() > 0) {
      if (!service_->turn()) {
        if (service_->was_handed_over()) return {};
        return failure();
      }
    }
    if (leaves && service_->active_runs() > 0) {
      return Error{ErrorKind::interrupted,
                   fmt::format("left with {} open that others handed over. Go on with pawl serve",
                               counted(service_->active_runs(), "run"))};
    }
    tell_dormant();
    return {};
  }

 private:
  /// Lets the home go, for whoever asked for it. The service has ended, or has said that it does:
  /// then why is on its way from the writer.
  void end() {
    while (service_->turn()) {
    }
    ended_ = failure();
    service_.reset();
  }

  Error failure() const {
    if (service_->failure()) return *service_->failure();
    return {ErrorKind::no_scheduler, "another scheduler took the home over"};
  }

  void tell_dormant() const {
    const std::vector<std::string> runs = service_->dormant_runs();
    if (runs.empty()) return;
    constexpr std::size_t kShown = 3;
    std::string names;
    for (std::size_t i = 0; i < std::min(runs.size(), kShown); ++i) names += " " + runs[i];
    session_.notice(
        fmt::format("{} of earlier schedulers not finished:{}{}. Go on with pawl serve, "
                    "or pawl resume RUN",
                    counted(static_cast<std::int64_t>(runs.size()), "run is", "runs are"), names,
                    runs.size() > kShown ? " …" : ""));
  }

  Session session_;
  std::unique_ptr<Printing> printing_;  // outlives the service: only the home must not wait
  std::unique_ptr<Service> service_;
  std::optional<Error> ended_;  ///< why there is no service any more
  bool was_taken_ = false;
};

}  // namespace

Result<std::unique_ptr<Port>> become_scheduler(const Session& session, const std::string& home) {
  // Runs go on when nobody reads any more what is printed of them.
  std::signal(SIGPIPE, SIG_IGN);
  ServiceOptions options;
  options.operators = known_operators(session);
  options.settings_file = settings_file_of(home);
  Result<ParsedSettings> settings = read_settings(options.settings_file, &options.operators);
  if (!settings) return settings.error();
  options.home = home;
  options.program = program_path();
  options.version = program_version();
  options.settings = *std::move(settings);
  auto printing = std::make_unique<Printing>(session);
  options.tell = [&printing = *printing](Weight weight, const std::string& text) {
    if (weight == Weight::warning) printing.notice(escape_for_terminal(text));
  };
  Result<std::unique_ptr<Service>> service = Service::open(std::move(options));
  if (!service) return service.error();
  if ((*service)->home().is_new()) {
    session.notice("new home " + escape_for_terminal((*service)->home().path()));
  }
  return std::unique_ptr<Port>(
      std::make_unique<EmbeddedPort>(session, std::move(printing), *std::move(service)));
}

}  // namespace pawl
