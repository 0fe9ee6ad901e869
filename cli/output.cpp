#include "cli/output.h"

#include <algorithm>
#include <array>

#include "scheduler/base/check.h"
#include "scheduler/base/text.h"

namespace pawl {

namespace {

constexpr std::array<std::string_view, 6> kFormatWords = {"table", "wide", "json",
                                                          "jsonl", "csv",  "name"};
constexpr std::size_t kEntriesPerPage = 1000;
constexpr int kGap = 2;  // blanks between columns

}  // namespace

std::string_view to_string(Format format) { return kFormatWords[static_cast<std::size_t>(format)]; }

std::optional<Format> format_from(std::string_view word) {
  const auto* const found = std::find(kFormatWords.begin(), kFormatWords.end(), word);
  if (found == kFormatWords.end()) return std::nullopt;
  return static_cast<Format>(found - kFormatWords.begin());
}

std::string dump(const OrderedJson& value, int indent) {
  return value.dump(indent, ' ', false, OrderedJson::error_handler_t::replace);
}

std::string csv_field(const OrderedJson& value) {
  if (value.is_null()) return {};
  std::string text = value.is_string() ? value.get<std::string>() : dump(value);
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + '"';
}

Listing::Listing(const Terminal& out, OutputOptions options, std::vector<std::string> fields,
                 std::vector<Column> columns)
    : out_(out), options_(options), fields_(std::move(fields)), columns_(std::move(columns)) {}

bool Listing::is_shown(const Column& column) const {
  return !column.wide_only || options_.format == Format::wide;
}

void Listing::add(Entry entry) {
  const bool first = count_++ == 0;
  switch (options_.format) {
    case Format::table:
    case Format::wide:
      waiting_.push_back(std::move(entry));
      if (waiting_.size() == kEntriesPerPage) flush_table();
      return;
    case Format::json:
      out_.print(first ? "[\n  " : ",\n  ");
      out_.print(dump(entry.object));
      return;
    case Format::jsonl: out_.line(dump(entry.object)); return;
    case Format::csv: {
      if (first) print_csv_header();
      std::string line;
      for (const std::string& field : fields_) {
        if (&field != &fields_.front()) line += ',';
        const auto found = entry.object.find(field);
        if (found != entry.object.end()) line += csv_field(*found);
      }
      out_.line(line);
      return;
    }
    case Format::name: out_.line(escape_for_terminal(entry.name)); return;
  }
}

void Listing::finish() {
  switch (options_.format) {
    case Format::table:
    case Format::wide: flush_table(); return;
    case Format::json: out_.line(count_ == 0 ? "[]" : "\n]"); return;
    case Format::csv:
      if (count_ == 0) print_csv_header();
      return;
    case Format::jsonl:
    case Format::name: return;
  }
}

void Listing::print_csv_header() {
  if (!options_.header) return;
  std::string line;
  for (const std::string& field : fields_) {
    if (!line.empty()) line += ',';
    line += field;
  }
  out_.line(line);
}

void Listing::flush_table() {
  if (waiting_.empty()) return;
  for (Entry& entry : waiting_) {
    PAWL_CHECK(entry.cells.size() == columns_.size());
    for (Cell& cell : entry.cells) cell.text = escape_for_terminal(cell.text);
  }
  if (widths_.empty()) {
    std::vector<Cell> headers;
    widths_.assign(columns_.size(), 0);
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      headers.emplace_back(columns_[i].header, Style::bold);
      if (options_.header) widths_[i] = display_width(columns_[i].header);
      for (const Entry& entry : waiting_) {
        widths_[i] = std::max(widths_[i], display_width(entry.cells[i].text));
      }
    }
    fit_widths(widths_);
    if (options_.header) print_row(headers, widths_);
  }
  for (const Entry& entry : waiting_) print_row(entry.cells, widths_);
  waiting_.clear();
}

void Listing::fit_widths(std::vector<int>& widths) const {
  if (out_.width == 0) return;
  const auto total = [&] {
    int sum = -kGap;
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      if (is_shown(columns_[i])) sum += widths[i] + kGap;
    }
    return sum;
  };
  for (int over = total() - out_.width; over > 0; over = total() - out_.width) {
    std::size_t widest = columns_.size();
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      if (!is_shown(columns_[i]) || columns_[i].shrink_to == 0) continue;
      if (widths[i] <= columns_[i].shrink_to) continue;
      if (widest == columns_.size() || widths[i] > widths[widest]) widest = i;
    }
    if (widest == columns_.size()) return;
    // One step at a time: two wide columns end equally wide.
    --widths[widest];
  }
}

void Listing::print_row(const std::vector<Cell>& cells, const std::vector<int>& widths) const {
  std::vector<std::vector<std::string>> lines(cells.size());
  std::size_t height = 1;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const bool narrow = out_.width != 0 && columns_[i].shrink_to != 0;
    if (narrow && columns_[i].wraps) {
      lines[i] = wrap_to_width(cells[i].text, widths[i]);
    } else {
      lines[i].push_back(narrow ? cut_to_width(cells[i].text, widths[i]) : cells[i].text);
    }
    if (is_shown(columns_[i])) height = std::max(height, lines[i].size());
  }
  for (std::size_t at = 0; at < height; ++at) {
    std::string line;
    int blanks = 0;  // owed before the next text, so that no line ends in blanks
    bool first = true;
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      if (!is_shown(columns_[i])) continue;
      if (!first) blanks += kGap;
      first = false;
      const std::string text = at < lines[i].size() ? lines[i][at] : "";
      const int missing = std::max(0, widths[i] - display_width(text));
      if (columns_[i].right) blanks += missing;
      if (!text.empty()) {
        line.append(static_cast<std::size_t>(blanks), ' ');
        line += styled(out_, cells[i].style, text);
        blanks = 0;
      }
      if (!columns_[i].right) blanks += missing;
    }
    out_.line(line);
  }
}

void print_object(const Terminal& out, const OutputOptions& options, const OrderedJson& object) {
  switch (options.format) {
    case Format::table:
    case Format::wide:
    case Format::json: out.line(dump(object, 2)); return;
    case Format::jsonl: out.line(dump(object)); return;
    case Format::csv: {
      std::string header;
      std::string line;
      for (const auto& [key, value] : object.items()) {
        if (&value != &object.front()) {
          header += ',';
          line += ',';
        }
        header += key;
        line += csv_field(value);
      }
      if (options.header) out.line(header);
      out.line(line);
      return;
    }
    case Format::name: return;
  }
}

}  // namespace pawl
