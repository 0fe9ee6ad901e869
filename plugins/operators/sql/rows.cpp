#include "plugins/operators/sql/rows.h"

#include <algorithm>
#include <cmath>
#include <set>

#include <nlohmann/json.hpp>

#include "scheduler/base/limits.h"
#include "scheduler/base/text.h"

namespace pawl::operators {

using nlohmann::json;

RowWriter::RowWriter(std::string_view format, std::optional<std::uint64_t> rows_max)
    : format_(format == "json"    ? Format::json
              : format == "jsonl" ? Format::jsonl
              : format == "text"  ? Format::text
                                  : Format::none),
      rows_max_(rows_max) {}

void RowWriter::begin(const std::vector<std::string>& columns) {
  has_result_ = true;
  out_.clear();
  keys_.clear();
  rows_ = 0;
  column_ = 0;
  if (!wants_rows()) return;
  const std::set<std::string> names(columns.begin(), columns.end());
  for (const std::string& name : columns) {
    if (!is_utf8(name)) throw NoOutput{"the name of a column is not UTF-8"};
    if (format_ != Format::text && names.size() < columns.size() &&
        std::count(columns.begin(), columns.end(), name) > 1) {
      throw NoOutput{"two columns are called " + name + ": name them apart with AS"};
    }
    keys_.push_back(json(name).dump() + ':');
  }
}

void RowWriter::put(std::string_view as_json, std::string_view plain) {
  if (format_ == Format::none) return;
  if (format_ == Format::text) {
    if (rows_ == 0 && column_ == 0) out_ = plain;
  } else {
    if (column_ == 0) out_ += rows_ == 0 ? "" : format_ == Format::json ? ",\n" : "\n";
    out_ += column_ == 0 ? '{' : ',';
    out_ += keys_[column_];
    out_ += as_json;
  }
  ++column_;
  // Two bytes are for the brackets of `take`.
  if (out_.size() + 2 > limits::kOutputValueBytesMax) {
    throw NoOutput{
        "the rows take more than an output may have, 1 MiB: select fewer rows or "
        "columns, or let the statement write to a table or a file"};
  }
}

void RowWriter::add_null() { put("null", ""); }

void RowWriter::add(bool value) { put(value ? "true" : "false", value ? "true" : "false"); }

void RowWriter::add(std::int64_t value) {
  const std::string text = std::to_string(value);
  put(text, text);
}

void RowWriter::add(double value) {
  if (std::isnan(value)) return add_text("NaN");
  if (std::isinf(value)) return add_text(value > 0 ? "Infinity" : "-Infinity");
  const std::string text = json(value).dump();
  put(text, text);
}

void RowWriter::add_text(std::string_view value) {
  if (format_ == Format::none) return;
  if (!is_utf8(value)) {
    throw NoOutput{"row " + std::to_string(rows_ + 1) + ", column " + std::to_string(column_ + 1) +
                   ": the text is not UTF-8"};
  }
  put(format_ == Format::text ? std::string() : json(value).dump(), value);
}

void RowWriter::add_json(std::string_view value) { put(value, value); }

void RowWriter::add_bytes(std::string_view value) {
  if (format_ == Format::none) return;
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text = "\\x";
  text.reserve(2 + 2 * value.size());
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  add_text(text);
}

void RowWriter::end_row() {
  if (format_ == Format::json || format_ == Format::jsonl) {
    if (column_ == 0) out_ += rows_ == 0 ? "{" : format_ == Format::json ? ",\n{" : "\n{";
    out_ += '}';
  }
  column_ = 0;
  ++rows_;
  if (rows_max_ && rows_ > *rows_max_) {
    throw NoOutput{"more than " + std::to_string(*rows_max_) + " rows (`max_rows`)"};
  }
}

std::string RowWriter::take() {
  if (format_ == Format::json) return '[' + std::move(out_) + ']';
  return std::move(out_);
}

std::string RowWriter::of_changes(std::int64_t changes) const {
  if (format_ == Format::none) return {};
  if (format_ == Format::text) return std::to_string(changes);
  return json{{"changes", changes}}.dump();
}

}  // namespace pawl::operators
