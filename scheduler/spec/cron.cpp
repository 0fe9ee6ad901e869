#include "scheduler/spec/cron.h"

#include <algorithm>
#include <array>
#include <optional>
#include <vector>

#include "scheduler/base/text.h"

namespace pawl {
namespace {

constexpr std::size_t kCronBytesMax = 1'000;

enum class FieldKind : std::uint8_t { minute, hour, day_of_month, month, day_of_week };

struct FieldRule {
  FieldKind kind;
  std::string_view name;
  int low;
  int high;
};
constexpr std::array<FieldRule, 5> kFields = {{{FieldKind::minute, "minute", 0, 59},
                                               {FieldKind::hour, "hour", 0, 23},
                                               {FieldKind::day_of_month, "day of month", 1, 31},
                                               {FieldKind::month, "month", 1, 12},
                                               {FieldKind::day_of_week, "day of week", 0, 7}}};
constexpr std::array<std::string_view, 12> kMonths = {"JAN", "FEB", "MAR", "APR", "MAY", "JUN",
                                                      "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"};
constexpr std::array<std::string_view, 7> kWeekdays = {"SUN", "MON", "TUE", "WED",
                                                       "THU", "FRI", "SAT"};
constexpr std::array<int, 13> kLongestMonth = {0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

struct Macro {
  std::string_view word;
  std::string_view fields;
};
constexpr std::array<Macro, 7> kMacros = {{{"@hourly", "0 * * * *"},
                                           {"@daily", "0 0 * * *"},
                                           {"@midnight", "0 0 * * *"},
                                           {"@weekly", "0 0 * * 0"},
                                           {"@monthly", "0 0 1 * *"},
                                           {"@yearly", "0 0 1 1 *"},
                                           {"@annually", "0 0 1 1 *"}}};

std::string upper(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return out;
}

std::string tick(std::string_view text) { return "`" + escape_for_terminal(text) + "`"; }

/// A piece of the text and where it stands.
struct Piece {
  std::string_view text;
  std::size_t offset = 0;

  Piece part(std::size_t begin, std::size_t size = std::string_view::npos) const {
    return {text.substr(begin, size), offset + begin};
  }
};

std::vector<Piece> split(Piece piece, char separator) {
  std::vector<Piece> parts;
  std::size_t begin = 0;
  while (true) {
    const std::size_t end = piece.text.find(separator, begin);
    if (end == std::string_view::npos) break;
    parts.push_back(piece.part(begin, end - begin));
    begin = end + 1;
  }
  parts.push_back(piece.part(begin));
  return parts;
}

std::vector<Piece> split_blanks(std::string_view text) {
  std::vector<Piece> parts;
  std::size_t at = 0;
  while (at < text.size()) {
    if (text[at] == ' ' || text[at] == '\t') {
      ++at;
      continue;
    }
    std::size_t end = at;
    while (end < text.size() && text[end] != ' ' && text[end] != '\t') ++end;
    parts.push_back({text.substr(at, end - at), at});
    at = end;
  }
  return parts;
}

/// Parses one field into the mask and flags of a Cron. The first error ends it.
class FieldParser {
 public:
  FieldParser(const FieldRule& rule, Cron& cron) : rule_(rule), cron_(cron) {}

  std::optional<CronError> parse(Piece field) {
    restricted_ = field.text != "*" && field.text != "?";
    for (const Piece& element : split(field, ',')) {
      if (!parse_element(element)) return error_;
    }
    store();
    return std::nullopt;
  }

 private:
  bool fail(Piece at, std::string message) {
    error_ = {at.offset, std::move(message)};
    return false;
  }
  std::string in_field() const { return " in the field " + std::string(rule_.name); }
  bool is_day() const {
    return rule_.kind == FieldKind::day_of_month || rule_.kind == FieldKind::day_of_week;
  }

  bool parse_element(Piece element) {
    if (element.text.empty()) return fail(element, "an empty list element" + in_field());
    if (!refuse_foreign(element)) return false;
    const std::string word = upper(element.text);
    if (word == "?") {
      if (!is_day()) return fail(element, "`?` stands in the two day fields only; use `*`");
      add_range(rule_.low, std::min(rule_.high, 31), 1);
      return true;
    }
    if (word == "L") return parse_last_day(element);
    if (rule_.kind == FieldKind::day_of_week) {
      const std::size_t hash = element.text.find('#');
      if (hash != std::string_view::npos) return parse_nth(element, hash);
      if (word.size() > 1 && word.back() == 'L') return parse_last_weekday(element);
    }
    if (word.find('#') != std::string::npos) {
      return fail(element, "`#` (the nth weekday of a month) stands in the day of week only");
    }
    return parse_range(element);
  }

  /// Forms of other schedulers, each refused with its reason.
  bool refuse_foreign(Piece element) {
    const std::string word = upper(element.text);
    const bool numeric_before = word.size() > 1;
    if (word.find('~') != std::string::npos) {
      return fail(element,
                  "`~` (a random value) is refused: it would differ at each start; spread "
                  "runs with `jitter`");
    }
    if (word[0] == 'H' && (word.size() == 1 || word[1] == '(' || word[1] == '/')) {
      return fail(element, "`H` (a hashed value) is refused: spread runs with `jitter`");
    }
    if (word == "R" || word.starts_with("R(")) {
      return fail(element, "`R` (a random value) is refused: spread runs with `jitter`");
    }
    const bool w_form =
        word == "W" || word == "LW" || word == "WL" ||
        (numeric_before && word.back() == 'W' &&
         std::all_of(word.begin(), word.end() - 1, [](char c) { return c >= '0' && c <= '9'; }));
    if (w_form) {
      return fail(element,
                  "`W` (the nearest working day) is refused: it does not know holidays; "
                  "use weekdays such as MON-FRI and `except`");
    }
    return true;
  }

  bool parse_last_day(Piece element) {
    if (rule_.kind == FieldKind::day_of_month) {
      cron_.last_day = true;
      return true;
    }
    if (rule_.kind == FieldKind::day_of_week) {
      return fail(element,
                  "`L` in the day of week needs a weekday before it: 5L is the last Friday "
                  "of a month");
    }
    return fail(element, "`L` stands in the two day fields only");
  }

  bool parse_last_weekday(Piece element) {
    const Piece day = element.part(0, element.text.size() - 1);
    const auto value = parse_value(day);
    if (!value) return false;
    cron_.last_weekdays = static_cast<std::uint8_t>(cron_.last_weekdays | 1U << (*value % 7));
    return true;
  }

  bool parse_nth(Piece element, std::size_t hash) {
    const auto value = parse_value(element.part(0, hash));
    if (!value) return false;
    const std::string_view nth = element.text.substr(hash + 1);
    if (nth.size() != 1 || nth[0] < '1' || nth[0] > '5') {
      return fail(element.part(hash), "after `#` stands 1 to 5: MON#2 is the second Monday");
    }
    cron_.nth_weekdays |= std::uint64_t{1} << ((nth[0] - '1') * 7 + *value % 7);
    return true;
  }

  bool parse_range(Piece element) {
    int step = 1;
    Piece range = element;
    const std::size_t slash = element.text.find('/');
    if (slash != std::string_view::npos) {
      range = element.part(0, slash);
      const auto number = parse_step(element.part(slash + 1));
      if (!number) return false;
      step = *number;
    }
    if (range.text == "*") {
      add_range(rule_.low, rule_.kind == FieldKind::day_of_week ? 6 : rule_.high, step);
      return true;
    }
    if (range.text == "?") return fail(range, "`?` takes no step; use `*`");
    const std::size_t dash = range.text.find('-');
    const auto low = parse_value(dash == std::string_view::npos ? range : range.part(0, dash));
    if (!low) return false;
    if (dash == std::string_view::npos) {
      // `5/15` is the whole rest of the field from 5.
      const int last = rule_.kind == FieldKind::day_of_week ? 6 : rule_.high;
      const int first = rule_.kind == FieldKind::day_of_week ? *low % 7 : *low;
      add_range(first, slash == std::string_view::npos ? first : last, step);
      return true;
    }
    auto high = parse_value(range.part(dash + 1));
    if (!high) return false;
    return parse_bounds(range, *low, *high, step);
  }

  bool parse_bounds(Piece range, int low, int high, int step) {
    if (rule_.kind == FieldKind::day_of_week) {
      if (high == 0 && low > 0) high = 7;  // FRI-SUN ends in Sunday
      if (low == 7) low = high == 7 ? 7 : 0;
    }
    if (low > high) {
      return fail(range, "the range " + tick(range.text) +
                             " wraps around, which schedulers read in different ways: write two, "
                             "such as " +
                             std::to_string(low) + "-" + std::to_string(rule_.high) + "," +
                             std::to_string(rule_.low) + "-" + std::to_string(high));
    }
    add_range(low, high, step);
    return true;
  }

  std::optional<int> parse_step(Piece text) {
    const auto number = parse_number(text.text);
    if (!number) {
      fail(text, "after `/` stands a whole number, not " + tick(text.text));
      return std::nullopt;
    }
    if (*number == 0) {
      fail(text, "a step of 0 is no step");
      return std::nullopt;
    }
    if (*number > rule_.high) {
      fail(text, "a step of " + std::to_string(*number) + in_field() +
                     " is longer than the field, so it would not do what it says: use `every`");
      return std::nullopt;
    }
    return number;
  }

  static std::optional<int> parse_number(std::string_view text) {
    if (text.empty() || text.size() > 4) return std::nullopt;
    int value = 0;
    for (const char c : text) {
      if (c < '0' || c > '9') return std::nullopt;
      value = value * 10 + (c - '0');
    }
    return value;
  }

  std::optional<int> parse_value(Piece text) {
    if (const auto named = parse_name(text.text)) return named;
    const auto number = parse_number(text.text);
    if (!number) {
      std::string message = tick(text.text) + " is not a value of the field " +
                            std::string(rule_.name) + ": it takes " + std::to_string(rule_.low) +
                            " to " + std::to_string(rule_.high);
      if (rule_.kind == FieldKind::month) message += " or JAN to DEC";
      if (rule_.kind == FieldKind::day_of_week) message += " or SUN to SAT";
      if (rule_.kind == FieldKind::day_of_month && upper(text.text) == "L") {
        message = "`L` takes nothing beside it: days before the last are refused";
      }
      fail(text, message);
      return std::nullopt;
    }
    if (*number < rule_.low || *number > rule_.high) {
      fail(text, std::to_string(*number) + " is outside of the field " + std::string(rule_.name) +
                     ": " + std::to_string(rule_.low) + " to " + std::to_string(rule_.high));
      return std::nullopt;
    }
    return number;
  }

  std::optional<int> parse_name(std::string_view text) const {
    const std::string word = upper(text);
    if (rule_.kind == FieldKind::month) {
      const auto* found = std::find(kMonths.begin(), kMonths.end(), word);
      if (found != kMonths.end()) return static_cast<int>(found - kMonths.begin()) + 1;
    }
    if (rule_.kind == FieldKind::day_of_week) {
      const auto* found = std::find(kWeekdays.begin(), kWeekdays.end(), word);
      if (found != kWeekdays.end()) return static_cast<int>(found - kWeekdays.begin());
    }
    return std::nullopt;
  }

  void add_range(int low, int high, int step) {
    for (int value = low; value <= high; value += step) {
      mask_ |= std::uint64_t{1} << (rule_.kind == FieldKind::day_of_week ? value % 7 : value);
    }
  }

  void store() {
    switch (rule_.kind) {
      case FieldKind::minute: cron_.minutes = mask_; break;
      case FieldKind::hour: cron_.hours = static_cast<std::uint32_t>(mask_); break;
      case FieldKind::day_of_month:
        cron_.days_of_month = static_cast<std::uint32_t>(mask_);
        cron_.day_of_month_restricted = restricted_;
        break;
      case FieldKind::month: cron_.months = static_cast<std::uint16_t>(mask_); break;
      case FieldKind::day_of_week:
        cron_.weekdays = static_cast<std::uint8_t>(mask_);
        cron_.day_of_week_restricted = restricted_;
        break;
    }
  }

  const FieldRule& rule_;
  Cron& cron_;
  std::uint64_t mask_ = 0;
  bool restricted_ = false;
  CronError error_;
};

std::optional<CronError> refuse_macro(Piece word) {
  const std::string lower_case = upper(word.text);
  if (lower_case == "@REBOOT") {
    return CronError{word.offset, "`@reboot` is refused: a start of the scheduler is not a time"};
  }
  if (lower_case.starts_with("@EVERY")) {
    return CronError{word.offset, "`@every` is written {\"every\": \"5m\"}"};
  }
  std::array<std::string_view, kMacros.size()> words{};
  std::transform(kMacros.begin(), kMacros.end(), words.begin(),
                 [](const Macro& m) { return m.word; });
  std::string message = tick(word.text) + " is unknown";
  const std::string_view near = nearest_word(word.text, words);
  if (!near.empty()) message += ", did you mean `" + std::string(near) + "`?";
  return CronError{word.offset, message +
                                    " (there are @hourly, @daily, @midnight, @weekly, "
                                    "@monthly, @yearly and @annually)"};
}

/// Days that no month has can only fire through the day of week.
bool can_fire(const Cron& cron) {
  if (!cron.day_of_month_restricted || cron.day_of_week_restricted || cron.last_day) return true;
  for (std::size_t month = 1; month <= 12; ++month) {
    if ((cron.months >> month & 1U) == 0) continue;
    const std::uint32_t days = (std::uint32_t{2} << kLongestMonth[month]) - 2;
    if ((cron.days_of_month & days) != 0) return true;
  }
  return false;
}

}  // namespace

bool Cron::matches_day(int month, int day, int weekday, int month_length) const {
  if ((months >> month & 1U) == 0) return false;
  const bool by_day = (days_of_month >> day & 1U) != 0 || (last_day && day == month_length);
  const bool by_weekday = (weekdays >> weekday & 1U) != 0 ||
                          ((last_weekdays >> weekday & 1U) != 0 && day + 7 > month_length) ||
                          (nth_weekdays >> ((day - 1) / 7 * 7 + weekday) & 1U) != 0;
  if (day_of_month_restricted && day_of_week_restricted) return by_day || by_weekday;
  return by_day && by_weekday;
}

std::variant<Cron, CronError> parse_cron(std::string_view text) {
  if (text.size() > kCronBytesMax) {
    return CronError{0,
                     "a cron expression has at most " + std::to_string(kCronBytesMax) + " bytes"};
  }
  const std::vector<Piece> fields = split_blanks(text);
  if (fields.empty()) return CronError{0, "the cron expression is empty: it has five fields"};
  const std::string first = upper(fields[0].text);
  if (first.starts_with("TZ=") || first.starts_with("CRON_TZ=")) {
    return CronError{fields[0].offset,
                     "the zone stands beside the expression: {\"cron\": …, \"timezone\": …}"};
  }
  if (fields[0].text[0] == '@') {
    for (const Macro& macro : kMacros) {
      if (upper(macro.word) == first && fields.size() == 1) return parse_cron(macro.fields);
    }
    return *refuse_macro(fields[0]);
  }
  if (fields.size() == 6 || fields.size() == 7) {
    return CronError{fields[5].offset,
                     "a cron expression has exactly five fields, this one has " +
                         std::to_string(fields.size()) +
                         ": there are no seconds and no years; below a minute use `every`"};
  }
  if (fields.size() != kFields.size()) {
    return CronError{0,
                     "a cron expression has exactly five fields (minute, hour, day of month, "
                     "month, day of week), this one has " +
                         std::to_string(fields.size())};
  }
  Cron cron;
  for (std::size_t i = 0; i < kFields.size(); ++i) {
    FieldParser parser(kFields[i], cron);
    if (auto error = parser.parse(fields[i])) return *std::move(error);
  }
  if (!can_fire(cron)) {
    return CronError{fields[2].offset, "this can never fire: no such day is in such a month"};
  }
  return cron;
}

}  // namespace pawl
