#include "plugins/operators/http/statuses.h"

#include <algorithm>
#include <optional>
#include <string>

#include "scheduler/base/words.h"

namespace pawl::operators {

using nlohmann::json;

namespace {

constexpr long kStatusMin = 100;
constexpr long kStatusMax = 599;

Error no_status(const std::string& shown) {
  return {ErrorKind::invalid,
          shown + " is no status: write 204, \"2xx\" or \"500-503\", from 100 to 599"};
}

std::optional<long> status_of(std::string_view text) {
  const auto status = whole_number<long>(text);
  return status && *status >= kStatusMin && *status <= kStatusMax ? status : std::nullopt;
}

}  // namespace

Statuses Statuses::of(std::string_view text) { return read(json::parse(text)).value(); }

Result<Statuses> Statuses::read(const json& value) {
  Statuses out;
  if (!value.is_array()) {
    if (auto added = out.add(value); !added) return added.error();
    return out;
  }
  for (const json& entry : value) {
    if (auto added = out.add(entry); !added) return added.error();
  }
  return out;
}

bool Statuses::contains(long status) const {
  return status >= kStatusMin && status <= kStatusMax && bits_.test(static_cast<size_t>(status));
}

Result<void> Statuses::add(const json& entry) {
  if (entry.is_string()) return add_text(entry.get_ref<const std::string&>());
  const std::string shown = entry.dump();
  const auto status = entry.is_number_integer() ? status_of(shown) : std::nullopt;
  if (!status) return no_status(shown);
  add_range(*status, *status);
  return {};
}

Result<void> Statuses::add_text(std::string_view text) {
  const std::string shown = '"' + std::string(text) + '"';
  if (text.size() == 3 && text.ends_with("xx") && text[0] >= '1' && text[0] <= '5') {
    const long from = (text[0] - '0') * 100L;
    add_range(from, from + 99);
    return {};
  }
  const std::size_t dash = text.find('-');
  const auto from = status_of(text.substr(0, dash));
  const auto to = dash == std::string_view::npos ? from : status_of(text.substr(dash + 1));
  if (!from || !to) return no_status(shown);
  add_range(std::min(*from, *to), std::max(*from, *to));
  return {};
}

void Statuses::add_range(long from, long to) {
  for (long status = from; status <= to; ++status) bits_.set(static_cast<size_t>(status));
}

Result<void> read_statuses(const json& parameters, const char* name, Statuses& out) {
  const auto found = parameters.find(name);
  if (found == parameters.end()) return {};
  auto statuses = Statuses::read(*found);
  if (!statuses) {
    return Error{ErrorKind::invalid, '`' + std::string(name) + "`: " + statuses.error().message};
  }
  out = *statuses;
  return {};
}

}  // namespace pawl::operators
