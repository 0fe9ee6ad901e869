#include <unistd.h>

#include <csignal>
#include <filesystem>

#include <fmt/format.h>

#include "cli/job_source.h"
#include "cli/port.h"
#include "cli/program.h"
#include "cli/scheduler_probe.h"
#include "cli/verb.h"
#include "scheduler/base/text.h"
#include "scheduler/daemon/home.h"
#include "scheduler/daemon/log.h"
#include "scheduler/daemon/service.h"
#include "scheduler/loop/clock.h"
#include "scheduler/loop/signal.h"

namespace pawl {

namespace {

constexpr Duration kLockPatience = std::chrono::seconds(10);
constexpr Duration kLockPause = std::chrono::milliseconds(250);

class ServeVerb final : public Verb {
 public:
  void declare(Arguments& arguments) override {
    arguments.option("--jobs", "DIR", folders_, "a folder of job files to serve and follow");
    arguments.option("--settings", "FILE", settings_,
                     "settings (default: settings.json of the home)");
    arguments.choice("--log-level", "LEVEL", log_level_, {"debug", "info", "warning"},
                     "the least that a line must matter (info)");
    arguments.flag("--drain", drain_, "on SIGTERM wait for running tasks first");
    arguments.note(
        "Stays in the foreground. SIGTERM and Ctrl-C commit and leave at once: running tasks go on "
        "and the next start takes them over. SIGHUP reads the settings, folders and plugins again. "
        "A "
        "command that runs a job meanwhile hands the home over and follows.\n"
        "`packaging/pawl.service` is the unit for systemd.");
    arguments.example("pawl serve --jobs ~/jobs");
  }

  Result<int> run(Session& session) override {
    Result<ServiceOptions> options = service_options(session);
    if (!options) return options.error();
    if (const Result<void> free = ask_for_home(session, options->home); !free) return free.error();
    // Who asks it to end before it listens is answered once it does. Before the first thread, which
    // would take the signal in place of this one.
    sigset_t held;
    sigemptyset(&held);
    for (int number : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&held, number);
    pthread_sigmask(SIG_BLOCK, &held, nullptr);
    Log log({STDERR_FILENO, least_weight(), session.err.colour});
    log.line(Weight::info, fmt::format("pawl {} starts in {}, pid {}", program_version(),
                                       options->home, getpid()));
    options->tell = [&log](Weight weight, const std::string& text) { log.line(weight, text); };
    options->dropped_lines = [&log] { return log.dropped(); };
    Result<std::unique_ptr<Service>> opened = take_home(session, *options);
    if (!opened) return opened.error();
    Service& service = **opened;
    if (service.home().is_new()) log.line(Weight::info, "new home " + service.home().path());
    int ends = 0;
    const auto end = [&] {
      // A drain may take as long as its longest task; asked again, it leaves.
      if (drain_ && ends++ == 0) {
        service.drain();
      } else {
        service.leave();
      }
    };
    const Signal terminate(service.loop(), SIGTERM, end);
    const Signal interrupt(service.loop(), SIGINT, end);
    const Signal hang_up(service.loop(), SIGHUP, [&] { service.reload(); });
    pthread_sigmask(SIG_UNBLOCK, &held, nullptr);
    const Result<void> done = service.run();
    if (!done) return done.error();
    return 0;
  }

 private:
  Result<ServiceOptions> service_options(const Session& session) {
    const Result<std::string> home = resolve_home(session.home_flag);
    if (!home) return home.error();
    ServiceOptions options;
    options.operators = known_operators(session);
    options.operators.set_renewal(fmt::format(
        "The scheduler goes by the plugins that it has read: one that was added since is "
        "taken up with SIGHUP (kill -HUP {}, or systemctl reload pawl)",
        getpid()));
    // It goes on when nobody reads its log any more.
    std::signal(SIGPIPE, SIG_IGN);
    options.settings_file = settings_file_of(*home);
    if (!settings_.empty()) {
      std::error_code failed;
      options.settings_file = {std::filesystem::absolute(settings_, failed).string(), true};
    }
    Result<ParsedSettings> settings = read_settings(options.settings_file, &options.operators);
    if (!settings) return settings.error();
    options.home = *home;
    options.program = program_path();
    options.version = program_version();
    options.serves = true;
    options.lock_wait = kLockPause;
    options.settings = *std::move(settings);
    for (const std::string& folder : folders_) {
      std::error_code error;
      const auto path = std::filesystem::canonical(folder, error);
      if (error) {
        return Error{error == std::errc::no_such_file_or_directory ? ErrorKind::not_found
                                                                   : ErrorKind::invalid,
                     fmt::format("--jobs {}: {}", escape_for_terminal(folder), error.message())};
      }
      options.job_folders.push_back(path.string());
    }
    return options;
  }

  Weight least_weight() const {
    if (log_level_ == "debug") return Weight::debug;
    return log_level_ == "warning" ? Weight::warning : Weight::info;
  }

  /// A verb that is the scheduler for a while gives the home up; another `serve` does not.
  static Result<void> ask_for_home(const Session& session, const std::string& home) {
    const Result<std::unique_ptr<Port>> port = find_scheduler(session);
    if (!port) {
      // Whoever did not answer may be gone by now.
      const Result<Home> held = Home::open(home);
      const bool is_gone = port.error().kind == ErrorKind::locked && held && !held->locked();
      if (is_gone) return {};
      return port.error();
    }
    if (*port == nullptr) return {};
    const Result<nlohmann::json> answer = ask_once(**port, "POST", "/v1/hand_over");
    if (answer || answer.error().kind == ErrorKind::no_scheduler) return {};
    return Error{ErrorKind::locked,
                 fmt::format("{}: {}", escape_for_terminal(home), answer.error().message)};
  }

  /// Between its asking and the lock another verb may have become the scheduler, and be asked, too.
  static Result<std::unique_ptr<Service>> take_home(const Session& session,
                                                    const ServiceOptions& options) {
    const MonoTime deadline = mono_now() + kLockPatience;
    for (;;) {
      Result<std::unique_ptr<Service>> opened = Service::open(options);
      const bool is_held = !opened && opened.error().kind == ErrorKind::locked;
      if (!is_held || mono_now() >= deadline) return opened;
      if (const Result<void> free = ask_for_home(session, options.home); !free) return free.error();
    }
  }

  std::vector<std::string> folders_;
  std::string settings_;
  std::string log_level_ = "info";
  bool drain_ = false;
};

}  // namespace

std::unique_ptr<Verb> make_serve_verb() { return std::make_unique<ServeVerb>(); }

}  // namespace pawl
