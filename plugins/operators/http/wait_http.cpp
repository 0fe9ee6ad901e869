#include "plugins/operators/http/wait_http.h"

#include <algorithm>
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

namespace {

/// Of a body that is looked into.
constexpr std::size_t kLookBytesMax = 16u << 20;
/// The last look may begin a moment before the time is over.
constexpr Duration kLastMoment = std::chrono::milliseconds(100);

struct Parameters {
  Statuses expected = Statuses::of(R"(["2xx"])");
  Statuses failing;
  std::string contains;
  std::optional<json::json_pointer> pointer;
  std::optional<json> equals;
  Duration every = std::chrono::seconds(30);
  Duration look_timeout = std::chrono::seconds(30);
  std::optional<Duration> timeout;
  bool skips = false;

  bool looks_into_body() const { return !contains.empty() || pointer; }
};

/// What is remembered from look to look.
struct Waiting {
  std::int64_t first_ms = 0;  ///< of the calendar
  std::int64_t looks = 0;
};

std::int64_t now_ms() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<milliseconds>(now).count();
}

Waiting read_waiting(std::string_view state) {
  Waiting out{now_ms(), 0};
  const json known = json::parse(state, nullptr, false);
  if (!known.is_object()) return out;
  out.first_ms = known.value("first_ms", out.first_ms);
  out.looks = known.value("looks", std::int64_t{0});
  return out;
}

Duration waited(const Waiting& waiting) {
  return Duration(std::max<std::int64_t>(now_ms() - waiting.first_ms, 0));
}

Error invalid(std::string message) { return {ErrorKind::invalid, std::move(message)}; }

Result<void> read_condition(const json& with, Parameters& out) {
  out.contains = with.value("contains", "");
  const auto equals = with.find("equals");
  if (equals != with.end()) out.equals = *equals;
  const auto pointer = with.find("pointer");
  if (pointer == with.end()) return {};
  try {
    out.pointer = json::json_pointer(pointer->get<std::string>());
  } catch (const json::exception&) {
    return invalid("`pointer` is no JSON Pointer: it has a ~ that is not ~0 or ~1");
  }
  return {};
}

Result<Parameters> read_parameters(const json& with) {
  Parameters out;
  if (auto read = read_statuses(with, "expected_status", out.expected); !read) return read.error();
  if (auto read = read_statuses(with, "fail_status", out.failing); !read) return read.error();
  if (auto read = read_condition(with, out); !read) return read.error();
  for (const auto& [name, duration] :
       {std::pair("every", &out.every), std::pair("look_timeout", &out.look_timeout)}) {
    auto read = read_duration(with, name, *duration);
    if (!read) return read.error();
    *duration = *read;
  }
  auto timeout = read_duration(with, "timeout", Duration(0));
  if (!timeout) return timeout.error();
  if (with.contains("timeout")) out.timeout = *timeout;
  out.skips = with.value("on_timeout", "fail") == "skip";
  return out;
}

/// Null: nothing is there.
const json* find(const json& document, const json::json_pointer& pointer) {
  try {
    return document.contains(pointer) ? &document[pointer] : nullptr;
  } catch (const json::exception&) {
    return nullptr;  // the index is larger than any
  }
}

class Judge final : public HttpJudge {
 public:
  Judge(Parameters parameters, const plugin::Request& request)
      : parameters_(std::move(parameters)),
        format_(request.output_format()),
        waiting_(read_waiting(request.state())) {
    ++waiting_.looks;
  }

  bool expects(long status) const override { return parameters_.expected.contains(status); }
  Keep keep(long status) const override {
    if (!expects(status)) return Keep::sample;
    return parameters_.looks_into_body() || format_ != "none" ? Keep::all : Keep::nothing;
  }
  std::size_t bytes_max() const override {
    if (parameters_.looks_into_body()) return kLookBytesMax;
    return format_ == "none" ? kBodyBytesDefault : kOutputBytesMax;
  }
  plugin::Result too_large() const override {
    return plugin::Result::permanent(
        "the response is larger than " + format_bytes(bytes_max()) + ", the most that " +
            (parameters_.looks_into_body() || format_ == "none" ? "a look reads"
                                                                : "an output holds"),
        "ResponseTooLarge");
  }

  plugin::Result judge(HttpExchange& exchange, const HttpAnswer& answer) override {
    const std::string status = "status " + std::to_string(answer.status);
    if (parameters_.failing.contains(answer.status)) {
      const std::string name = "Status" + std::to_string(answer.status);
      return plugin::Result::permanent(name + ": " + exchange.shown(), name, exchange.sample());
    }
    if (!expects(answer.status)) return look_again(exchange, status);
    if (!parameters_.looks_into_body() && format_ == "none") return plugin::Result::success();
    auto body = exchange.body().text();
    if (!body) return plugin::Result::failure(body.error().message, "ReadError");
    if (const auto missing = missing_in(*body))
      return look_again(exchange, status + ", " + *missing);
    if (format_ != "none" && body->size() > kOutputBytesMax) {
      return plugin::Result::permanent("the response is what was waited for, and larger than the " +
                                           format_bytes(kOutputBytesMax) +
                                           " that an output holds: leave `output` out",
                                       "ResponseTooLarge");
    }
    return body_output(exchange, format_, *body);
  }

  plugin::Result judge_failure(HttpExchange& exchange, const plugin::Result& failure) override {
    if (failure.outcome == PAWL_FAILED_FOR_GOOD) return failure;
    return look_again(exchange, failure.message);
  }

 private:
  /// What the condition misses; nothing when it holds.
  std::optional<std::string> missing_in(const std::string& body) const {
    if (!parameters_.contains.empty() && body.find(parameters_.contains) == std::string::npos) {
      return "the text is not in the body";
    }
    if (!parameters_.pointer) return std::nullopt;
    const json document = json::parse(body, nullptr, false);
    if (document.is_discarded()) return "the body is not JSON";
    const std::string where = '"' + parameters_.pointer->to_string() + '"';
    const json* found = find(document, *parameters_.pointer);
    if (found == nullptr) return "nothing is at " + where;
    if (parameters_.equals && *found != *parameters_.equals) {
      return "another value is at " + where;
    }
    return std::nullopt;
  }

  plugin::Result look_again(HttpExchange& exchange, const std::string& seen) const {
    Duration after = std::min(parameters_.every, plugin::kWaitMax);
    if (parameters_.timeout) {
      const Duration left = *parameters_.timeout - waited(waiting_);
      if (left <= Duration(0)) return timed_out(seen);
      // The last look is when the time is over.
      after = std::min(after, left);
    }
    const json state = {{"first_ms", waiting_.first_ms}, {"looks", waiting_.looks}};
    exchange.log("not yet: " + seen + "; looking again in " + format_duration(after) + '\n');
    return plugin::Result::deferred(after, state.dump());
  }

  plugin::Result timed_out(const std::string& seen) const {
    const std::string looks = waiting_.looks == 1
                                  ? " and one look: "
                                  : " and " + std::to_string(waiting_.looks) + " looks; the last: ";
    const std::string message =
        "not there after " + format_duration(*parameters_.timeout) + looks + seen;
    if (parameters_.skips) return plugin::Result::skipped(message);
    return plugin::Result::failure(message, "Timeout");
  }

  Parameters parameters_;
  std::string format_;
  Waiting waiting_;
};

/// How long a look may take. Only the last one goes on when the time is over.
Duration time_of_look(const Parameters& parameters, const Waiting& waiting) {
  if (!parameters.timeout) return parameters.look_timeout;
  const Duration left = *parameters.timeout - waited(waiting);
  return left < kLastMoment ? parameters.look_timeout : std::min(left, parameters.look_timeout);
}

}  // namespace

void WaitHttp::start(plugin::Attempt attempt, const plugin::Request& request) {
  const json with = json::parse(request.parameters());
  auto target = read_target(with, request);
  if (!target) return attempt.finish(parameter_failure(target.error().message));
  auto parameters = read_parameters(with);
  if (!parameters) return attempt.finish(parameter_failure(parameters.error().message));
  if (!with.contains("method")) target->method = "GET";
  target->timeout = time_of_look(*parameters, read_waiting(request.state()));
  exchanges_.begin(attempt, request, std::move(*target), {},
                   std::make_unique<Judge>(std::move(*parameters), request));
}

}  // namespace pawl::operators
