#include "plugins/operators/http/http.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <nlohmann/json.hpp>

#include "plugins/operators/curl/errors.h"
#include "plugins/operators/http/output.h"
#include "plugins/operators/http/statuses.h"
#include "scheduler/base/bytes.h"
#include "scheduler/base/text.h"

namespace pawl::operators {

using nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::system_clock;

namespace {

/// Of one wait: `max_retry_after` bounds how often a server may say that it is ready when it is
/// not.
constexpr milliseconds kRetryAfterMin = std::chrono::seconds(1);

const Statuses kExpectedDefault = Statuses::of(R"(["2xx"])");
const Statuses kRetriedDefault = Statuses::of(R"([408, 425, 429, "5xx"])");

struct Parameters {
  Statuses expected = kExpectedDefault;
  Statuses retried = kRetriedDefault;
  Duration max_retry_after = std::chrono::minutes(5);
  bool full = false;
  std::string save_to;  ///< absolute; empty: to the output
  std::uint64_t max_response = kOutputBytesMax;
};

Error invalid(std::string message) { return {ErrorKind::invalid, std::move(message)}; }

Result<void> read_response(const json& with, const plugin::Request& request, Parameters& out) {
  out.full = with.value("response", "body") == "full";
  auto save_to = read_path(with, "save_to", request);
  if (!save_to) return save_to.error();
  out.save_to = std::move(*save_to);
  if (!out.save_to.empty() || request.output_format() == "none") {
    out.max_response = kBodyBytesDefault;
  }
  const auto limit = with.find("max_response");
  if (limit == with.end()) return {};
  auto bytes = parse_size(limit->get_ref<const std::string&>());
  if (!bytes) return invalid("`max_response`: " + bytes.error().message);
  if (out.save_to.empty() && *bytes > kOutputBytesMax) {
    return invalid("`max_response` is over 1MiB, the most that an output holds: use `save_to`");
  }
  out.max_response = *bytes;
  return {};
}

Result<Parameters> read_parameters(const json& with, const plugin::Request& request) {
  Parameters out;
  if (auto read = read_statuses(with, "expected_status", out.expected); !read) return read.error();
  if (auto read = read_statuses(with, "retry_status", out.retried); !read) return read.error();
  auto wait = read_duration(with, "max_retry_after", out.max_retry_after);
  if (!wait) return wait.error();
  out.max_retry_after = *wait;
  if (auto read = read_response(with, request, out); !read) return read.error();
  return out;
}

void add_idempotency_key(const json& with, const plugin::Request& request, HttpTarget& target) {
  if (target.method != "POST" && target.method != "PATCH") return;
  const std::string name = with.value("idempotency_header", "Idempotency-Key");
  if (name.empty() || request.idempotency_key().empty() || target.has_header(name)) return;
  target.headers.emplace_back(name, std::string(request.idempotency_key()));
}

/// How long this attempt has waited because servers asked it to.
milliseconds waited_before(const plugin::Request& request) {
  if (request.state().empty()) return milliseconds(0);
  const json state = json::parse(request.state(), nullptr, false);
  return milliseconds(state.is_object() ? state.value("waited_ms", std::int64_t{0}) : 0);
}

class Judge final : public HttpJudge {
 public:
  Judge(Parameters parameters, const plugin::Request& request)
      : parameters_(std::move(parameters)),
        format_(request.output_format()),
        waited_(waited_before(request)),
        deadline_(request.deadline()) {}

  bool expects(long status) const override { return parameters_.expected.contains(status); }
  Keep keep(long status) const override {
    if (!expects(status)) return Keep::sample;
    const bool is_wanted = format_ != "none" || !parameters_.save_to.empty();
    return is_wanted ? Keep::all : Keep::nothing;
  }
  std::size_t bytes_max() const override { return parameters_.max_response; }
  plugin::Result too_large() const override {
    return plugin::Result::permanent(
        "the response is larger than " + format_bytes(bytes_max()) + ", the `max_response`",
        "ResponseTooLarge");
  }

  plugin::Result judge(HttpExchange& exchange, const HttpAnswer& answer) override {
    if (expects(answer.status)) return success(exchange, answer);
    if (auto deferral = wait_as_asked(exchange, answer)) return *deferral;
    return unexpected(exchange, answer);
  }

 private:
  plugin::Result success(HttpExchange& exchange, const HttpAnswer& answer) const {
    if (!parameters_.save_to.empty()) return saved(exchange);
    if (format_ == "none") return plugin::Result::success();
    auto body = exchange.body().text();
    if (!body) return plugin::Result::failure(body.error().message, "ReadError");
    return parameters_.full ? full_output(exchange, answer, *body)
                            : body_output(exchange, format_, *body);
  }

  plugin::Result saved(HttpExchange& exchange) const {
    const std::size_t bytes = exchange.body().size();
    auto moved = exchange.body().keep();
    if (!moved) return plugin::Result::failure(moved.error().message, "WriteError");
    if (format_ == "none") return plugin::Result::success();
    if (format_ == "text") return plugin::Result::success(parameters_.save_to);
    return plugin::Result::success(json({{"file", parameters_.save_to}, {"bytes", bytes}}).dump());
  }

  /// The two statuses that say that nothing was done, and when to ask again.
  std::optional<plugin::Result> wait_as_asked(HttpExchange& exchange,
                                              const HttpAnswer& answer) const {
    const bool is_refusal = answer.status == 429 || answer.status == 503;
    if (!is_refusal || !answer.retry_after || !parameters_.retried.contains(answer.status)) {
      return std::nullopt;
    }
    const milliseconds wait = std::max<milliseconds>(*answer.retry_after, kRetryAfterMin);
    if (wait > parameters_.max_retry_after - waited_) return std::nullopt;
    if (deadline_ && system_clock::now() + wait >= *deadline_) return std::nullopt;
    exchange.log("the server asks to wait " + format_duration(*answer.retry_after) +
                 " (Retry-After): asking again in " + format_duration(wait) + '\n');
    const json state = {{"waited_ms", (waited_ + wait).count()}};
    return plugin::Result::deferred(wait, state.dump());
  }

  plugin::Result unexpected(HttpExchange& exchange, const HttpAnswer& answer) const {
    const HttpTarget& target = exchange.target();
    // The class comes first: of a long list of failures people see the beginning of each.
    std::string name = "Status" + std::to_string(answer.status);
    std::string message = name + ": " + target.method + ' ' + exchange.shown();
    if (exchange.redirects() > 0) {
      const int count = exchange.redirects();
      message += " after " + std::to_string(count) + (count == 1 ? " redirect" : " redirects");
    }
    if (answer.retry_after) {
      message += " and asked to wait " + format_duration(*answer.retry_after);
    }
    return parameters_.retried.contains(answer.status)
               ? plugin::Result::failure(std::move(message), std::move(name), exchange.sample())
               : plugin::Result::permanent(std::move(message), std::move(name), exchange.sample());
  }

  Parameters parameters_;
  std::string format_;
  milliseconds waited_;
  std::optional<system_clock::time_point> deadline_;
};

/// Of the file beside the one that it will become, so that it can be renamed. One name for all
/// attempts of the work, of which one is under way at a time: what one left that was killed is gone
/// when the next one begins.
std::string part_ending(const plugin::Request& request) {
  return '.' + std::string(request.run()) + '-' + std::string(request.task()) + '-' +
         std::to_string(std::max<std::int64_t>(request.index(), 0)) + ".part";
}

/// What is there under a name, and what the file system has against a file there, as far as no
/// other attempt can find it better.
struct Place {
  explicit Place(const std::string& path) {
    struct stat status {};
    if (::stat(path.c_str(), &status) == 0) {
      mode = status.st_mode;
    } else if (errno == ENOTDIR || errno == ENAMETOOLONG || errno == ELOOP) {
      error = errno;
    }
  }
  std::optional<mode_t> mode;  ///< nothing: there is nothing
  int error = 0;               ///< 0: nothing is
};

/// Why a body cannot have that name; empty: it can.
std::string why_no_file(const std::string& path, const Place& place) {
  const bool is_there = place.mode.has_value();
  if (path.ends_with('/') || (is_there && S_ISDIR(*place.mode)))
    return "is a folder: name a file in it";
  if (is_there && !S_ISREG(*place.mode)) {
    return "is no regular file, and only such a one can be replaced (to drop the body, leave "
           "`save_to` and `output` out)";
  }
  if (place.error == ENOTDIR) return "cannot be a file: a part of its path is no folder";
  if (place.error == ENAMETOOLONG) return "cannot be a file: its name is too long";
  if (place.error == ELOOP) return "cannot be a file: symbolic links lead in a circle";
  return {};
}

/// Where a symbolic link leads to: what it names is replaced, not the link.
std::string followed(const std::string& path) {
  const std::unique_ptr<char, decltype(&::free)> real(::realpath(path.c_str(), nullptr), &::free);
  return real == nullptr ? path : real.get();
}

/// The file for a body; without a path when it becomes none. A place where no file can be is
/// refused before anybody is called.
Result<BodyFile> body_file(const json& with, const std::string& save_to,
                           const plugin::Request& request) {
  if (save_to.empty()) return BodyFile{};
  const auto refusal = [&](const std::string& why) {
    return invalid("`save_to`: " + with.at("save_to").get<std::string>() + ' ' + why);
  };
  const Place place(save_to);
  if (const std::string why = why_no_file(save_to, place); !why.empty()) return refusal(why);
  BodyFile file;
  file.name = place.mode ? followed(save_to) : save_to;
  if (place.mode) file.mode = (*place.mode & 0666) | S_IWUSR;
  const std::string ending = part_ending(request);
  file.path = file.name + ending;
  if (Place(file.path).error == ENAMETOOLONG) {
    return refusal("cannot be a file: its name is too long together with \"" + ending +
                   "\", which it has until it is whole");
  }
  if (request.number() > 1) ::unlink(file.path.c_str());
  return file;
}

}  // namespace

void Http::start(plugin::Attempt attempt, const plugin::Request& request) {
  const json with = json::parse(request.parameters());
  auto target = read_target(with, request);
  if (!target) return attempt.finish(parameter_failure(target.error().message));
  auto parameters = read_parameters(with, request);
  if (!parameters) return attempt.finish(parameter_failure(parameters.error().message));
  add_idempotency_key(with, request, *target);
  auto file = body_file(with, parameters->save_to, request);
  if (!file) return attempt.finish(parameter_failure(file.error().message));
  exchanges_.begin(attempt, request, std::move(*target), *std::move(file),
                   std::make_unique<Judge>(std::move(*parameters), request));
}

}  // namespace pawl::operators
