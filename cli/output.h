#pragma once

// What verbs print on standard output, in the format the user asked for. Tables are for people:
// colour and width only on a terminal, control characters escaped. The other formats are for
// programs: names are stable, values are those of the JSON view (view.h).

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "cli/terminal.h"

namespace pawl {

/// JSON that keeps the order of its keys, as people expect of what they read.
using OrderedJson = nlohmann::ordered_json;

enum class Format { table, wide, json, jsonl, csv, name };
std::string_view to_string(Format format);
std::optional<Format> format_from(std::string_view word);

constexpr bool is_table(Format format) { return format == Format::table || format == Format::wide; }

struct OutputOptions {
  Format format = Format::table;
  bool header = true;

  bool is_for_people() const { return is_table(format); }
};

struct Column {
  std::string header;
  bool wide_only = false;
  bool right = false;
  int shrink_to = 0;   ///< least columns when a terminal is too narrow; 0: never narrower
  bool wraps = false;  ///< what does not fit goes on in the next line; else it is cut
};

struct Cell {
  Cell() = default;
  Cell(std::string cell_text,  // NOLINT(google-explicit-constructor)
       Style cell_style = Style::plain)
      : text(std::move(cell_text)), style(cell_style) {}
  std::string text;  ///< as it is; escaped when printed
  Style style = Style::plain;
};

/// One entry of a listing. A form that the format does not show may be left empty: of a million
/// entries it would cost more than to read them.
struct Entry {
  OrderedJson object;       ///< json, jsonl, and by field csv
  std::vector<Cell> cells;  ///< table, wide: one per column
  std::string name;         ///< name: what other verbs take
};

/// A list, printed entry by entry in bounded memory. Columns of a table are as wide as the first
/// thousand entries need.
class Listing {
 public:
  /// `fields` are the members of `Entry::object`, in order: the columns of csv.
  Listing(const Terminal& out, OutputOptions options, std::vector<std::string> fields,
          std::vector<Column> columns);
  void add(Entry entry);
  /// Prints what is left, and the closing bracket. Once, at the end.
  void finish();
  std::size_t count() const { return count_; }

 private:
  bool is_shown(const Column& column) const;
  void flush_table();
  void fit_widths(std::vector<int>& widths) const;
  void print_row(const std::vector<Cell>& cells, const std::vector<int>& widths) const;
  void print_csv_header();

  Terminal out_;
  OutputOptions options_;
  std::vector<std::string> fields_;
  std::vector<Column> columns_;
  std::vector<Entry> waiting_;  ///< of a table, at most kEntriesPerPage
  std::vector<int> widths_;     ///< fixed by the first page
  std::size_t count_ = 0;
};

/// One object: a JSON text of its own, indented; `jsonl` on one line; csv with its header.
void print_object(const Terminal& out, const OutputOptions& options, const OrderedJson& object);

/// A CSV field after RFC 4180; null is empty, lists and objects are JSON.
std::string csv_field(const OrderedJson& value);

/// JSON text that is valid UTF-8 whatever the value holds.
std::string dump(const OrderedJson& value, int indent = -1);

}  // namespace pawl
