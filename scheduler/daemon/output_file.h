#pragma once

// Results that lie in files: texts and JSON that are too long for a row of the store, and all
// results of lines. Blocks on the file system. Errors: storage, with the path.

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

#include "scheduler/base/result.h"
#include "scheduler/core/rows.h"

namespace pawl {

/// Whether expressions know it as a value: a text, or JSON. Lines may be more than fit in memory.
bool is_value(const OutputRow& row);
/// Of the value, wherever it lies.
std::size_t bytes_of(const OutputRow& row);

/// The absolute path of a result that lies in a file.
std::string path_of_output(const std::string& home, const OutputRow& row);

/// The text or JSON that lies in a file: at most limits::kOutputValueBytesMax.
Result<std::string> read_output_file(const std::string& home, const OutputRow& row);

/// Hands out what lies in a file as JSON without a line break, in pieces: a text as a string, lines
/// as an array. Of lines a piece at a time is in memory.
Result<void> output_file_as_json(const std::string& home, const OutputRow& row,
                                 const std::function<void(std::string_view)>& write);

}  // namespace pawl
