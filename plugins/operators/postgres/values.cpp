#include "plugins/operators/postgres/values.h"

#include <algorithm>
#include <cctype>
#include <string>
#include <string_view>
#include <vector>

#include "scheduler/base/words.h"

namespace pawl::operators::postgres {

namespace {

// Object ids of built-in types; they never change (pg_type.dat).
enum : Oid {
  kBool = 16,
  kInt8 = 20,
  kInt2 = 21,
  kInt4 = 23,
  kOid = 26,
  kJson = 114,
  kFloat4 = 700,
  kFloat8 = 701,
  kTimestamp = 1114,
  kTimestamptz = 1184,
  kNumeric = 1700,
  kJsonb = 3802,
};

bool is_digit(char c) { return std::isdigit(static_cast<unsigned char>(c)) != 0; }

bool is_int64(std::string_view text) { return whole_number<std::int64_t>(text).has_value(); }

/// `2026-11-20 22:58:01.5+09` becomes `2026-11-20T22:58:01.5+09:00`. What is no such time, as
/// `infinity` or a year before Christ, stays.
std::string iso_time(std::string_view text, bool has_offset) {
  const std::size_t blank = text.find(' ');
  if (blank == std::string_view::npos || !is_digit(text[0]) || text.ends_with("BC")) {
    return std::string(text);
  }
  std::string out(text);
  out[blank] = 'T';
  const std::size_t sign = out.find_first_of("+-", blank);
  if (has_offset && sign != std::string::npos && out.size() == sign + 3) out += ":00";
  return out;
}

/// Line ends stand between tokens only, and one line is one row in JSON lines.
std::string on_one_line(std::string_view json) {
  std::string out(json);
  std::replace(out.begin(), out.end(), '\n', ' ');
  std::replace(out.begin(), out.end(), '\r', ' ');
  return out;
}

void write_value(Oid type, std::string_view text, RowWriter& rows) {
  switch (type) {
    case kBool: return rows.add(text == "t");
    case kInt2:
    case kInt4:
    case kInt8:
    case kOid: return rows.add_json(text);
    case kFloat4:
    case kFloat8: return is_digit(text.back()) ? rows.add_json(text) : rows.add_text(text);
    case kNumeric: return is_int64(text) ? rows.add_json(text) : rows.add_text(text);
    case kJson:
    case kJsonb: return rows.add_json(on_one_line(text));
    case kTimestamp:
    case kTimestamptz: return rows.add_text(iso_time(text, type == kTimestamptz));
    default: return rows.add_text(text);
  }
}

}  // namespace

void begin_rows(const PGresult* result, RowWriter& rows) {
  std::vector<std::string> names;
  for (int i = 0; i < ::PQnfields(result); ++i) names.emplace_back(::PQfname(result, i));
  rows.begin(names);
}

void write_row(const PGresult* result, int row, RowWriter& rows) {
  if (rows.wants_rows()) {
    for (int i = 0; i < ::PQnfields(result); ++i) {
      if (::PQgetisnull(result, row, i) != 0) {
        rows.add_null();
        continue;
      }
      const auto size = static_cast<std::size_t>(::PQgetlength(result, row, i));
      write_value(::PQftype(result, i), {::PQgetvalue(result, row, i), size}, rows);
    }
  }
  rows.end_row();
}

}  // namespace pawl::operators::postgres
