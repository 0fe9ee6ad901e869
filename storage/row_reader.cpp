#include "storage/row_reader.h"

#include <limits>

namespace pawl {

std::int32_t RowReader::small() {
  std::int64_t value = integer();
  if (value < std::numeric_limits<std::int32_t>::min() ||
      value > std::numeric_limits<std::int32_t>::max()) {
    note_bad(std::to_string(value));
    return 0;
  }
  return static_cast<std::int32_t>(value);
}

std::optional<WallTime> RowReader::time_or_none() {
  if (statement_.is_null(column_)) {
    ++column_;
    return std::nullopt;
  }
  return time();
}

std::optional<int> RowReader::small_or_none() {
  if (statement_.is_null(column_)) {
    ++column_;
    return std::nullopt;
  }
  return small();
}

std::optional<std::string_view> RowReader::text_or_none() {
  if (statement_.is_null(column_)) {
    ++column_;
    return std::nullopt;
  }
  return statement_.text(column_++);
}

void RowReader::note_bad(std::string_view text) {
  if (bad_.empty()) bad_ = "'" + std::string(text) + "' cannot be read";
}

}  // namespace pawl
