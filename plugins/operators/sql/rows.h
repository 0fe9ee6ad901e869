#pragma once

// Rows of a query as the output of a task: written as they come, in the format the task declares,
// within what an output may hold.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pawl::operators {

/// An output that cannot be given: too large, or nothing JSON could say. For the user.
struct NoOutput {
  std::string message;
};

/// For each row: one `add…` per column, then `end_row`. All throw NoOutput.
///
///   json    an array of objects, columns in their order
///   jsonl   one object per line
///   text    the first column of the first row, as it is
///   none    nothing is kept, but rows are counted
class RowWriter {
 public:
  /// `rows_max` nothing: as many as fit.
  RowWriter(std::string_view format, std::optional<std::uint64_t> rows_max);

  /// False: values need not be brought at all.
  bool wants_rows() const { return format_ != Format::none; }
  /// A result begins; what was written before is dropped. Two columns of one name are refused,
  /// since an object cannot hold both.
  void begin(const std::vector<std::string>& columns);
  void add_null();
  void add(bool value);
  void add(std::int64_t value);
  /// NaN and infinities, which JSON lacks, become the texts that PostgreSQL uses.
  void add(double value);
  void add_text(std::string_view value);
  /// JSON text, passed through.
  void add_json(std::string_view value);
  /// As `\x` and two digits a byte.
  void add_bytes(std::string_view value);
  void end_row();

  /// A result was begun.
  bool has_result() const { return has_result_; }
  std::uint64_t rows() const { return rows_; }
  /// The whole output.
  std::string take();
  /// The output of statements that returned no rows: how many they changed.
  std::string of_changes(std::int64_t changes) const;

 private:
  enum class Format { none, text, json, jsonl };

  void put(std::string_view json, std::string_view plain);

  Format format_;
  std::optional<std::uint64_t> rows_max_;
  std::vector<std::string> keys_;  ///< `"name":`
  std::size_t column_ = 0;
  std::uint64_t rows_ = 0;
  bool has_result_ = false;
  std::string out_;
};

}  // namespace pawl::operators
